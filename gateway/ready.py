"""What the consent filter can decide now, found without reading what has to wait.

It looks four times a second, in the thread that commits messages, and of a fleet that seals 100,000
messages wait at any time. So each condition is an index, and nothing is remembered from one look to
the next: whatever made a message ready, a restart included, the next look finds it.
"""

import sqlite3
from operator import itemgetter

from gateway.ingest.dating import Basis

CLAIMED = "('epoch', 'fix', 'event', 'window')"
"""Kinds that may leave the home, where their date is believed: their boot may still bear it out."""
FREE = f"""decided = 0 AND kind != 'seal'
  AND (basis IS NOT {Basis.CLAIM.value} OR kind NOT IN {CLAIMED})"""
"""Waits for nothing but its collar's run. The index `message_decidable` says it in these words."""

READY_SEALS = f"""
SELECT m.* FROM message m JOIN contiguity c USING (collar_id)
WHERE m.decided = 0 AND m.kind = 'seal' AND (m.boot, m.seq) < (c.next_boot, c.next_seq)
  AND (m.received_us < ? OR NOT EXISTS (
    SELECT 1 FROM message d WHERE (d.collar_id, d.boot) = (m.collar_id, m.boot)
    AND d.decided = 0 AND d.basis = {Basis.CLAIM.value} AND d.kind IN {CLAIMED}))
ORDER BY m.id"""

WAITED = """
SELECT * FROM message WHERE decided = 0 AND kind != 'seal' AND received_us < ?
ORDER BY received_us LIMIT ?"""

IN_RUN = f"""
WITH RECURSIVE waiting(collar_id) AS (
    SELECT min(collar_id) FROM message WHERE {FREE} UNION ALL
    SELECT (SELECT min(collar_id) FROM message WHERE {FREE} AND collar_id > waiting.collar_id)
    FROM waiting WHERE collar_id IS NOT NULL),
upto AS (
    SELECT c.collar_id, c.next_boot, iif(s.boot IS NULL, c.next_seq, 0) AS next_seq
    FROM waiting CROSS JOIN contiguity c USING (collar_id)
    LEFT JOIN sealing_boot s ON (s.collar_id, s.boot) = (c.collar_id, c.next_boot))
SELECT message.* FROM upto CROSS JOIN message USING (collar_id)
WHERE {FREE} AND (boot, seq) < (upto.next_boot, upto.next_seq) AND received_us >= ?
LIMIT ?"""
"""Collar by collar up to its gap, or to its boot's beginning where that promised seals."""


def ready_seals(db: sqlite3.Connection, waited_us: int) -> list[sqlite3.Row]:
    """Undecided seals whose whole batch is held, or will never be, and dated as well as may be."""
    return db.execute(READY_SEALS, (waited_us,)).fetchall()


def ready_alone(db: sqlite3.Connection, waited_us: int, limit: int) -> list[sqlite3.Row]:
    """Undecided messages of boots without seals or already over, or that waited long enough.

    Only what is held without a gap, so that the birth, which may promise seals, has been seen; and
    no date that its boot may still bear out.

    Args:
        db: The store.
        waited_us: What was received before that has waited long enough, whatever for.
        limit: Find so many at most.

    Returns:
        In the order of arrival.
    """
    found = db.execute(WAITED, (waited_us, limit)).fetchall()
    found += db.execute(IN_RUN, (waited_us, limit - len(found))).fetchall()
    return sorted(found, key=itemgetter("id"))
