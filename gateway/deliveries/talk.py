"""One collar being given one model: what to send next, and when to say it again."""

from msgspec import Struct

from gateway.wire.messages import MODEL_CHUNK_BYTES, ModelChunk, ModelOffer
from gateway.wire.uplink import ModelPackage

WINDOW = 4  # chunks under way; a collar writes one while the radio brings the next
ANSWER_S = 10.0  # a collar that says nothing for so long did not hear us
MAX_PATIENCE_S = 300.0
MIN_OFFER_S = 1.0  # a collar cannot make us say kilobytes by saying a few bytes faster than that


class Talk(Struct):
    """Where the gateway stands with a collar; forgotten when either dies, for the offer tells."""

    delivery_id: int
    collar_id: str
    rollout: str
    package: ModelPackage
    due_s: float = 0.0
    """When the offer is said again; of the same clock as every ``now_s``."""
    offered_s: float = float("-inf")
    unanswered: int = 0
    """Offers in a row that led nowhere."""
    offering: bool = False
    """The offer is not answered yet: whatever the answer says is where the collar stands."""
    furthest: int = 0
    """The highest ``next_chunk`` since the offer."""
    went_back: bool = False
    """Chunks were sent again since it rose."""
    sent: int = 0
    """Chunks before this one were sent since the collar last said where it stands."""

    @property
    def chunks(self) -> int:
        """How many the model is cut into."""
        return -(-len(self.package.model) // MODEL_CHUNK_BYTES)

    def offer(self, now_s: float) -> ModelOffer:
        """The offer, to be said now."""
        self.offered_s, self.offering = now_s, True
        self.unanswered += 1
        return ModelOffer(
            collar_id=self.collar_id,
            rollout=self.rollout,
            release=self.package.release,
            chunk_bytes=MODEL_CHUNK_BYTES,
        )

    def patience_s(self) -> float:
        """How long after an offer the next one follows.

        The first is repeated after ``ANSWER_S``; then the wait doubles.
        """
        return min(ANSWER_S * 2 ** min(max(self.unanswered, 1) - 1, 10), MAX_PATIENCE_S)

    def heard(self, next_chunk: int) -> list[ModelChunk]:
        """What to send to a collar that has all chunks before ``next_chunk``.

        One that says the same again, or less, lacks what we sent: it is sent again, once until the
        collar gets further. So no answers, however many, make us send more than a few models.
        """
        if self.offering:
            self.offering, self.went_back = False, False
            self.furthest = self.sent = next_chunk
        elif next_chunk > self.furthest:
            self.furthest, self.went_back = next_chunk, False
            self.sent = max(self.sent, next_chunk)
            self.unanswered = 0
        elif self.went_back:
            return []
        else:
            self.went_back, self.sent = True, next_chunk
        upto = min(next_chunk + WINDOW, self.chunks)
        chunks = [self._chunk(index) for index in range(self.sent, upto)]
        self.sent = max(self.sent, upto)
        return chunks

    def _chunk(self, index: int) -> ModelChunk:
        start = index * MODEL_CHUNK_BYTES
        return ModelChunk(
            collar_id=self.collar_id,
            rollout=self.rollout,
            index=index,
            data=self.package.model[start : start + MODEL_CHUNK_BYTES],
        )
