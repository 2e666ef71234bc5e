"""The consent filter: decides, message by message, what may enter the outbox.

A message waits until its proof is complete: a collar that seals is waited for, one that does not
is decided at once, unless only its boot can bear its date out, and may still tell the time. What is
borne out even later is decided again. Without an active grant nothing enters; what enters is only
what the grant names, at the precision it names. Everything stays readable at home either way.
"""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import structlog

from gateway.ingest.dating import OWN, Basis
from gateway.metrics import QUEUED, REJECTED, WITHHELD
from gateway.ready import ready_alone, ready_seals
from gateway.registry import Household
from gateway.store import Store, from_us, to_us
from gateway.store.store import count
from gateway.wire import seal as sealing
from gateway.wire.codec import decode, decode_raw
from gateway.wire.errors import RejectReason, WrongSeal
from gateway.wire.grants import STREAM_OF, Grant
from gateway.wire.messages import Seal
from gateway.wire.topics import Kind, Topic
from gateway.wire.uplink import Row

log: structlog.stdlib.BoundLogger = structlog.get_logger()

SEAL_WAIT_S = 3_600.0  # a collar that promised a seal and did not send it is not waited for longer
SWEEP_LIMIT = 2_000  # messages decided in one transaction
MAX_SEALED = 2_000  # messages under one seal: it goes up whole, beside as many of other collars
NO_SECRET = bytes(32)  # salts of unsealed messages prove nothing, so they need hide nothing


@dataclass(frozen=True, slots=True)
class Proof:
    """A verified seal and the secret its salts derive from."""

    seal: Seal
    seal_id: int
    secret: bytes


class ConsentFilter:
    """Decides what is undecided."""

    def __init__(
        self, store: Store, household: Household, seal_wait_s: float = SEAL_WAIT_S
    ) -> None:
        self._store = store
        self._household = household
        self._seal_wait_s = seal_wait_s

    async def decide(self) -> int:
        """Decide everything that can be decided now; returns how many entered the outbox."""
        entered = 0
        while True:
            decided, queued = await self._store.write(self._decide_some)
            entered += queued
            if decided < SWEEP_LIMIT:
                return entered

    def _decide_some(self, db: sqlite3.Connection) -> tuple[int, int]:
        now = datetime.now(UTC)
        decided = queued = 0
        waited_us = to_us(now) - int(self._seal_wait_s * 1e6)
        for row in ready_seals(db, waited_us):
            messages, entered = self._decide_seal(db, row, now)
            decided, queued = decided + messages, queued + entered
            if decided >= SWEEP_LIMIT:
                return decided, queued
        alone = ready_alone(db, waited_us, SWEEP_LIMIT - decided)
        return decided + len(alone), queued + self._decide(db, alone, None, now)

    def _decide_seal(
        self, db: sqlite3.Connection, row: sqlite3.Row, now: datetime
    ) -> tuple[int, int]:
        site = self._household.registry.site
        seal = _seal_in(row, site)
        if seal.last_seq - seal.first_seq >= MAX_SEALED:  # they are decided as if it were missing
            _reject_seal(db, row, site, f"covers more than {MAX_SEALED} messages", now)
            db.execute("UPDATE message SET decided = 1 WHERE id = ?", (row["id"],))
            return 1, 0
        messages = db.execute(
            """SELECT * FROM message WHERE collar_id = ? AND boot = ? AND seq BETWEEN ? AND ?
               ORDER BY seq""",
            (seal.collar_id, seal.boot, seal.first_seq, seal.last_seq),
        ).fetchall()
        try:
            proof = self._verify(seal, row["id"], messages)
        except WrongSeal as error:
            proof = None
            _reject_seal(db, row, site, str(error), now)
        queued = self._decide(db, messages, proof, now)
        db.execute("UPDATE message SET decided = 1 WHERE id = ?", (row["id"],))
        return len(messages) + 1, queued

    def _verify(self, seal: Seal, seal_id: int, messages: list[sqlite3.Row]) -> Proof | None:
        collar = self._household.collars.get(seal.collar_id)
        secret = self._household.secrets.get(seal.collar_id)
        if collar is None or collar.public_key is None or secret is None:
            return None  # nothing to verify it with: the messages count as unsealed
        if len(messages) != seal.last_seq - seal.first_seq + 1:
            return None  # part of the batch was lost or refused
        sealing.verify_signature(collar.public_key, seal)
        proof = Proof(seal, seal_id, sealing.batch_secret(secret, seal.boot, seal.first_seq))
        sealing.verify_root(seal, [_hash(message, proof.secret) for message in messages])
        return proof

    def _decide(
        self,
        db: sqlite3.Connection,
        messages: list[sqlite3.Row],
        proof: Proof | None,
        now: datetime,
    ) -> int:
        granted: list[tuple[sqlite3.Row, Row]] = []
        withheld: dict[int, bytes] = {}
        undecided = [message for message in messages if message["decided"] == 0]
        for message in messages:
            row = self._disclose(message, proof, now) if message["decided"] == 0 else None
            if row is not None:
                granted.append((message, row))
            elif proof is not None:
                withheld[message["seq"]] = _hash(message, proof.secret)
        if proof is not None and granted:
            body = (
                proof.seal_id,
                msgspec.msgpack.encode(proof.seal),
                msgspec.msgpack.encode(withheld),
            )
            db.execute("INSERT OR IGNORE INTO sealed VALUES (?, ?, ?)", body)
        _queue(db, granted, proof, now)
        queued = {message["id"] for message, _ in granted}
        db.executemany(
            "UPDATE message SET decided = ? WHERE id = ?",
            [(2 if message["id"] in queued else 1, message["id"]) for message in undecided],
        )
        shareable = sum(1 for message in undecided if Kind(message["kind"]) in STREAM_OF)
        count(db, "withheld", shareable - len(granted))
        WITHHELD.inc(shareable - len(granted))
        return len(granted)

    def _disclose(self, message: sqlite3.Row, proof: Proof | None, now: datetime) -> Row | None:
        kind = Kind(message["kind"])
        observed_at = from_us(message["observed_us"])
        grants = [
            grant
            for grant in self._household.grants_of(message["pet_id"], now)
            if grant.valid_from <= observed_at
        ]
        if kind not in STREAM_OF or not grants:
            return None
        fields = decode_raw(message["payload"], message["content_type"])
        if fields.get("clock") in OWN and message["basis"] != Basis.CLOCK:
            return None  # who reads it there would file it by the collar's own date
        leaves = sealing.leaves_of(kind, fields)
        grant, granted = _widest(grants, kind, set(leaves) - {sealing.HEADER})
        if grant is None:
            return None
        seed = sealing.message_seed(proof.secret if proof else NO_SECRET, message["seq"])
        if proof is None:
            leaves = {name: leaves[name] for name in sorted(granted | {sealing.HEADER})}
        shown = sealing.disclose(kind, message["seq"], leaves, seed, granted)
        return Row(
            **{name: getattr(shown, name) for name in shown.__struct_fields__},
            grant_id=grant.grant_id,
            received_at=from_us(message["received_us"]),
        )


def _widest(grants: list[Grant], kind: Kind, present: set[str]) -> tuple[Grant | None, set[str]]:
    """The grant that allows most of the ``present`` leaves, and those leaves."""
    best: tuple[Grant | None, set[str]] = (None, set())
    for grant in grants:
        leaves = grant.leaves(kind, present)
        if len(leaves) > len(best[1]):
            best = (grant, leaves)
    return best


def _hash(message: sqlite3.Row, secret: bytes) -> bytes:
    fields = decode_raw(message["payload"], message["content_type"])
    leaves = sealing.leaves_of(Kind(message["kind"]), fields)
    return sealing.message_hash(leaves, sealing.message_seed(secret, message["seq"]))


def _queue(
    db: sqlite3.Connection,
    granted: list[tuple[sqlite3.Row, Row]],
    proof: Proof | None,
    now: datetime,
) -> None:
    for message, row in granted:
        stream = STREAM_OF[Kind(message["kind"])].value
        db.execute(
            """INSERT INTO outbox (message_id, collar_id, boot, stream, grant_id, sealed_id, row,
                                   queued_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                message["id"],
                message["collar_id"],
                message["boot"],
                stream,
                row.grant_id,
                proof.seal_id if proof else None,
                msgspec.msgpack.encode(row),
                to_us(now),
            ),
        )
        QUEUED.labels(stream).inc()
    count(db, "queued", len(granted))


def _seal_in(row: sqlite3.Row, site: str) -> Seal:
    topic = Topic(site, row["collar_id"], Kind.SEAL)
    message = decode(topic, row["payload"], row["content_type"]).message
    if not isinstance(message, Seal):
        raise TypeError(f"message {row['id']} is stored as a seal and is none")
    return message


def _reject_seal(
    db: sqlite3.Connection, row: sqlite3.Row, site: str, detail: str, now: datetime
) -> None:
    reason = RejectReason.WRONG_SEAL
    log.warning("seal.rejected", collar_id=row["collar_id"], boot=row["boot"], detail=detail)
    REJECTED.labels(reason.value).inc()
    count(db, "rejected", 1)
    topic = str(Topic(site, row["collar_id"], Kind.SEAL))
    payload = row["payload"]
    db.execute(
        "INSERT INTO rejected VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(to_us(now), topic, row["collar_id"], row["boot"], row["seq"]),
            *(reason.value, detail, len(payload), payload),
        ),
    )
