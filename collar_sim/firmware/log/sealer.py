"""Batches of messages into seals: proof of what this collar said.

Hashes are taken as messages are written, over their fields as sent, so a batch costs 32 bytes a
message of memory and one signature. A seal belongs to its own boot: what a dead boot wrote after
its last seal stays unsealed for ever, so batches are small.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.wire.codec import decode_raw
from gateway.wire.seal import (
    batch_secret,
    leaves_of,
    message_hash,
    message_seed,
    root_of,
    sign_root,
)
from gateway.wire.topics import Kind

BATCH_MESSAGES = 64  # the cloud's 130 us a signature is then a sixth of its ingest (FINDINGS)
BATCH_AGE = timedelta(minutes=15)  # what a power cut may leave unsealed; what sharing waits for


@dataclass(frozen=True)
class SealingKey:
    """The collar's secrets: it signs with one, and salts leaves with the other."""

    signing_key: Ed25519PrivateKey = field(repr=False)
    salt_secret: bytes = field(repr=False)


class Sealer:
    """Collects one boot's messages; `fields` are those of the seal that ends a batch."""

    def __init__(self, key: SealingKey, collar_id: str, boot: int) -> None:
        self._key = key
        self._collar_id = collar_id
        self._boot = boot
        self._first_seq = 0
        self._secret = b""
        self._hashes: list[bytes] = []
        self._begun_at: datetime | None = None

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, kind: Kind, seq: int, payload: bytes, written_at: datetime) -> None:
        """Take a message into the batch; ``seq`` follows the one before."""
        if not self._hashes:
            self._first_seq, self._begun_at = seq, written_at
            self._secret = batch_secret(self._key.salt_secret, self._boot, seq)
        leaves = leaves_of(kind, decode_raw(payload))
        self._hashes.append(message_hash(leaves, message_seed(self._secret, seq)))

    def is_due(self, at: datetime) -> bool:
        """Whether the batch is full, or old, before something is written at this instant."""
        if self._begun_at is None:
            return False
        return len(self._hashes) >= BATCH_MESSAGES or at - self._begun_at >= BATCH_AGE

    def fields(self) -> dict[str, Any]:
        """The `Seal` of the batch, without what every message has; the next batch begins.

        Raises:
            ValueError: The batch is empty.
        """
        if not self._hashes:
            raise ValueError("nothing to seal")
        root = root_of(self._hashes)
        first, last = self._first_seq, self._first_seq + len(self._hashes) - 1
        signature = sign_root(self._key.signing_key, self._collar_id, self._boot, first, last, root)
        self._hashes, self._begun_at = [], None
        return {"first_seq": first, "last_seq": last, "root": root, "signature": signature}
