"""The run of held messages of each collar: in memory, and in the store beside the messages."""

import sqlite3
from collections.abc import Iterable

from gateway.ingest.contiguity import BEFORE_ALL, Contiguity
from gateway.wire.codec import decode, salvage_previous
from gateway.wire.messages import Birth, Key
from gateway.wire.topics import Kind, Topic

UNHELD = """
WITH RECURSIVE known(collar_id) AS (
    SELECT min(collar_id) FROM message UNION ALL
    SELECT (SELECT min(collar_id) FROM message WHERE collar_id > known.collar_id)
    FROM known WHERE collar_id IS NOT NULL)
SELECT m.collar_id, m.boot, m.seq, m.kind, m.payload, m.content_type
FROM known LEFT JOIN contiguity c USING (collar_id) CROSS JOIN message m
WHERE m.collar_id = known.collar_id
  AND (m.boot, m.seq) >= (ifnull(c.next_boot, 0), ifnull(c.next_seq, 0))
ORDER BY m.collar_id, m.boot, m.seq"""
"""Messages beyond what was written down as held, without reading those before."""


class Runs:
    """By collar, up to where its messages are held without a gap."""

    def __init__(self) -> None:
        self._of: dict[str, Contiguity] = {}

    def of(self, collar_id: str) -> Contiguity:
        """A collar's run; an empty one if it was never heard."""
        run = self._of.get(collar_id)
        if run is None:
            run = self._of[collar_id] = Contiguity()
        return run

    def load(self, db: sqlite3.Connection, site: str) -> None:
        """Take up what is kept, and what was stored since."""
        self._of = {}
        for row in db.execute("SELECT * FROM contiguity"):
            acked = None
            if row["acked_boot"] is not None:
                acked = Key(row["acked_boot"], row["acked_seq"])
            run = Contiguity(Key(row["next_boot"], row["next_seq"]), acked, row["lost"])
            self._of[row["collar_id"]] = run
        for row in db.execute(UNHELD):
            previous = None
            if row["kind"] == Kind.BIRTH and row["seq"] == 0:
                topic = Topic(site, row["collar_id"], Kind.BIRTH)
                previous = previous_of(decode(topic, row["payload"], row["content_type"]).message)
            self.of(row["collar_id"]).hold(Key(row["boot"], row["seq"]), previous)
        for row in db.execute(
            """SELECT r.collar_id, r.boot, r.seq, r.payload
               FROM rejected r JOIN contiguity c USING (collar_id)
               WHERE r.reason != 'conflict' AND (r.boot, r.seq) >= (c.next_boot, c.next_seq)"""
        ):
            key, previous = Key(row["boot"], row["seq"]), salvage_previous(row["payload"])
            self.of(row["collar_id"]).hold(key, previous)

    def save(self, db: sqlite3.Connection, collar_ids: Iterable[str]) -> None:
        """Keep the runs of some collars."""
        for collar_id in collar_ids:
            _save(db, collar_id, self.of(collar_id))


def previous_of(message: object) -> Key | None:
    """The last message before its boot, as a birth names it."""
    return message.previous if isinstance(message, Birth) else None


def _save(db: sqlite3.Connection, collar_id: str, run: Contiguity) -> None:
    if run.next == BEFORE_ALL:
        return
    db.execute(
        """INSERT INTO contiguity VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
           next_boot = excluded.next_boot, next_seq = excluded.next_seq,
           acked_boot = excluded.acked_boot, acked_seq = excluded.acked_seq,
           lost = excluded.lost""",
        (
            collar_id,
            run.next.boot,
            run.next.seq,
            run.acked.boot if run.acked else None,
            run.acked.seq if run.acked else None,
            run.lost,
        ),
    )
