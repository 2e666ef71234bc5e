"""Checks a batch, group by group; pure, and free of the database, so it can run in a thread.

In this order: the site owns the collar; the row's header fits; a grant of the pet that wore the
collar then covers what is shown; the leaves are well-typed; the seal proves it all. What fails
is refused with a reason, row by row, but for a seal, which vouches for its group as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cloud.consent.enforce import Enforcer
from cloud.ingest.columns import values
from cloud.ingest.facts import CollarFacts, Facts
from cloud.ingest.proof import DIGEST_BYTES, content_digest, prove
from cloud.ingest.refusal import Refusal, Refused
from gateway.wire.errors import WrongSeal
from gateway.wire.messages import MAX_FUTURE_S, ClockQuality
from gateway.wire.seal import HEADER
from gateway.wire.topics import Kind
from gateway.wire.uplink import Group, Row, UplinkBatch

_CLOCKS = {None: None, **{quality.value: quality.value for quality in ClockQuality}}
_FUTURE = timedelta(seconds=MAX_FUTURE_S)


class CheckedRow(NamedTuple):
    """A row that passed."""

    kind: Kind
    seq: int
    digest: bytes
    pet_id: str
    observed_at: datetime
    received_at: datetime
    grant_id: str
    clock: str | None
    hidden: bool
    """Whether some of its leaves were withheld."""
    values: tuple[Any, ...]
    """In the order of ``COLUMNS[kind]``."""


class RefusedRow(NamedTuple):
    """A row that did not."""

    collar_id: str
    boot: int
    seq: int
    reason: Refusal
    detail: str


@dataclass(slots=True)
class CheckedGroup:
    """What is left of a group."""

    collar_id: str
    boot: int
    sealed: bool
    root: bytes | None
    """Of the seal that proved the rows."""
    rows: list[CheckedRow]
    duplicates: int = 0


@dataclass(slots=True)
class CheckedBatch:
    """What is left of a batch."""

    groups: list[CheckedGroup] = field(default_factory=list[CheckedGroup])
    refused: list[RefusedRow] = field(default_factory=list[RefusedRow])


class _Brokenness(Exception):
    """The header of a sealed row contradicts its group: nothing of the group can be believed."""


def check(batch: UplinkBatch, facts: Facts, now: datetime) -> CheckedBatch:
    """Sort the batch into what may be stored and what is refused.

    Args:
        batch: As unpacked; nothing in it is trusted.
        facts: About the collars and grants it names.
        now: When it was received.
    """
    checked = CheckedBatch()
    enforcer = Enforcer(facts.grants, now)
    for group in batch.groups:
        collar = facts.collars.get(group.collar_id)
        if collar is None:
            _refuse(checked, group, group.rows, Refusal.UNKNOWN_COLLAR, "not of this site")
        elif group.rows:
            _check_group(checked, group, collar, enforcer, now)
    return checked


def _check_group(
    checked: CheckedBatch, group: Group, collar: CollarFacts, enforcer: Enforcer, now: datetime
) -> None:
    seal = group.seal if collar.public_key is not None else None
    refused: list[RefusedRow] = []
    passed: list[tuple[Row, tuple[str, datetime, datetime, str | None, tuple[Any, ...]]]] = []
    latest = now + _FUTURE
    try:
        for row in group.rows:
            try:
                passed.append((row, _check_row(group, row, collar, enforcer, latest)))
            except Refused as error:
                refused.append(
                    RefusedRow(group.collar_id, group.boot, row.seq, error.reason, error.detail)
                )
        if seal is not None and collar.public_key is not None and passed:
            hashes = prove(group, seal, collar.public_key)
            digests = [hashes[row.seq][:DIGEST_BYTES] for row, _ in passed]
        else:
            digests = [content_digest(row) for row, _ in passed]
    except (WrongSeal, _Brokenness) as error:
        _refuse(checked, group, group.rows, Refusal.WRONG_SEAL, str(error))
        return
    except (TypeError, ValueError, RecursionError) as error:  # a leaf that has no canonical form
        _refuse(checked, group, group.rows, Refusal.INVALID, f"leaves: {error}")
        return
    checked.refused += refused
    rows = [
        CheckedRow(
            row.kind,
            row.seq,
            digest,
            pet_id,
            observed_at,
            received_at,
            row.grant_id,
            clock,
            bool(row.hidden),
            columns,
        )
        for (row, (pet_id, observed_at, received_at, clock, columns)), digest in zip(
            passed, digests, strict=True
        )
    ]
    if rows:
        root = None if seal is None else seal.root
        checked.groups.append(
            CheckedGroup(group.collar_id, group.boot, seal is not None, root, rows)
        )


def _check_row(
    group: Group, row: Row, collar: CollarFacts, enforcer: Enforcer, latest: datetime
) -> tuple[str, datetime, datetime, str | None, tuple[Any, ...]]:
    observed_at, clock = _header(group, row)
    received_at = _utc(row.received_at)
    pet_id = enforcer.pet_allowed(row.grant_id, row.kind, tuple(row.leaves))
    if pet_id is None:
        raise Refused(Refusal.NOT_GRANTED, f"{row.grant_id} does not cover what is shown")
    if collar.pet_at(observed_at) != pet_id:
        raise Refused(Refusal.NOT_GRANTED, f"{row.grant_id} is not of the pet that wore it then")
    if observed_at > latest or received_at > latest:
        raise Refused(Refusal.FUTURE_DATED, "observed or received later than now")
    columns = values(row, enforcer.grant(row.grant_id))
    return pet_id, observed_at, received_at, clock, columns


def _header(group: Group, row: Row) -> tuple[datetime, str | None]:
    """When the row was observed and by what clock, if its header is the group's and the row's."""
    header = row.leaves.get(HEADER)
    if not isinstance(header, list) or len(header) != 7:
        raise Refused(Refusal.INVALID, "header: missing or of another form")
    kind, collar_id, boot, seq, observed, uptime_s, clock = header
    if (kind, collar_id, boot, seq) != (row.kind.value, group.collar_id, group.boot, row.seq):
        if group.seal is not None:
            raise _Brokenness("a header is of another message than its row")
        raise Refused(Refusal.INVALID, "header: of another message than the row")
    try:
        instant = datetime.fromisoformat(observed) if isinstance(observed, str) else observed
        if instant.tzinfo is None or not (uptime_s is None or uptime_s >= 0):
            raise Refused(Refusal.INVALID, "header: observed_at or uptime_s")
        return _utc(instant), _CLOCKS[clock]
    except (ValueError, TypeError, AttributeError, KeyError):
        raise Refused(Refusal.INVALID, "header: observed_at, uptime_s or clock") from None


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is UTC:
        return instant
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise Refused(Refusal.INVALID, "an instant outside the calendar") from None


def _refuse(
    checked: CheckedBatch, group: Group, rows: Sequence[Row], reason: Refusal, detail: str
) -> None:
    checked.refused += [
        RefusedRow(group.collar_id, group.boot, row.seq, reason, detail) for row in rows
    ]
