"""Checks a batch, group by group: pure, and free of the database.

In this order: the site owns the collar; the row's header fits; a grant of the pet that wore the
collar then covers what is shown; the leaves are well-typed; the seal proves it all. What fails
is refused with a reason, row by row, but for a seal, which vouches for its group as a whole.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cloud.consent.enforce import Enforcer
from cloud.ingest.columns import values
from cloud.ingest.facts import CollarFacts, Facts
from cloud.ingest.proof import DIGEST_BYTES, content_digest, prove, tells_of
from cloud.ingest.refusal import Refusal, Refused
from gateway.wire.errors import WrongSeal
from gateway.wire.grants import BESIDE_COARSE, COARSE_LEAF
from gateway.wire.messages import MAX_FUTURE_S, ClockQuality
from gateway.wire.seal import HEADER
from gateway.wire.topics import Kind
from gateway.wire.uplink import Group, Row, UplinkBatch

StoredRow = tuple[Any, ...]
"""In the order of ``COMMON``, the kind's own ``COLUMNS``, and the digest."""

_CLOCKS = {None: None, **{quality.value: quality.value for quality in ClockQuality}}
_FUTURE = timedelta(seconds=MAX_FUTURE_S)
_COARSE = frozenset(COARSE_LEAF.values()) | BESIDE_COARSE


class RefusedRow(NamedTuple):
    """A row that did not pass."""

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
    root: bytes | None
    """Of the seal that proved the rows; without it they are unsealed."""
    rows: dict[Kind, list[StoredRow]] = field(default_factory=dict[Kind, list[StoredRow]])
    partial: set[int] = field(default_factory=set[int])
    """``seq`` of the rows of which leaves were withheld, rounded positions apart."""
    duplicates: int = 0

    @property
    def sealed(self) -> bool:
        """Whether a seal proved the rows."""
        return self.root is not None


@dataclass(slots=True)
class CheckedBatch:
    """What is left of a batch."""

    groups: list[CheckedGroup] = field(default_factory=list[CheckedGroup])
    refused: list[RefusedRow] = field(default_factory=list[RefusedRow])


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
        if collar is not None:
            _check_group(checked, group, collar, enforcer, now)
            continue
        unknown = Refused(Refusal.UNKNOWN_COLLAR, "not of this site")
        checked.refused += [_refused(group, row, unknown) for row in group.rows]
    return checked


def _check_group(
    checked: CheckedBatch, group: Group, collar: CollarFacts, enforcer: Enforcer, now: datetime
) -> None:
    hashes, unproven = _prove(group, collar)
    root = group.seal.root if group.seal and collar.public_key and not unproven else None
    left = CheckedGroup(group.collar_id, group.boot, root)
    latest = now + _FUTURE
    for row in group.rows:
        try:
            stored = _check_row(group, row, collar, enforcer, latest, root is not None)
            if unproven is not None:
                raise unproven
            digest = hashes[row.seq][:DIGEST_BYTES] if root is not None else content_digest(row)
        except Refused as error:
            told = error if error.reason is Refusal.NOT_GRANTED else unproven or error
            checked.refused.append(_refused(group, row, told))
        except (TypeError, ValueError, RecursionError) as error:  # it has no canonical form
            checked.refused.append(
                _refused(group, row, Refused(Refusal.INVALID, f"leaves: {error}"))
            )
        else:
            left.rows.setdefault(row.kind, []).append((*stored, digest))
            if row.hidden and not _COARSE.issuperset(row.leaves.keys() - {HEADER}):
                left.partial.add(row.seq)
    if left.rows:
        checked.groups.append(left)


def _prove(group: Group, collar: CollarFacts) -> tuple[dict[int, bytes], Refused | None]:
    """Hashes of sealed rows by ``seq``, and what all of the group is refused for, if so."""
    if group.seal is None or collar.public_key is None:
        return {}, None
    try:
        return prove(group, group.seal, collar.public_key), None
    except (WrongSeal, TypeError, ValueError, RecursionError) as error:
        return {}, Refused(Refusal.WRONG_SEAL, str(error))


def _check_row(
    group: Group,
    row: Row,
    collar: CollarFacts,
    enforcer: Enforcer,
    latest: datetime,
    sealed: bool,
) -> StoredRow:
    if not sealed and not tells_of(row, group):
        raise Refused(Refusal.INVALID, "header: missing, or of another message than the row")
    observed_at, clock = _header(row)
    pet_id = enforcer.pet_allowed(row.grant_id, row.kind, tuple(row.leaves))
    if pet_id is None:
        raise Refused(Refusal.NOT_GRANTED, f"{row.grant_id} does not cover what is shown")
    if collar.pet_at(observed_at) != pet_id:
        raise Refused(Refusal.NOT_GRANTED, f"{row.grant_id} is not of the pet that wore it then")
    received_at = _utc(row.received_at)
    if observed_at < enforcer.grant(row.grant_id).valid_from:
        raise Refused(Refusal.NOT_GRANTED, f"{row.grant_id} began after this was observed")
    if observed_at > latest or received_at > latest:
        raise Refused(Refusal.FUTURE_DATED, "observed or received later than now")
    return (
        *(pet_id, observed_at, received_at, group.collar_id, group.boot, row.seq, row.grant_id),
        *(sealed, clock),
        *values(row, enforcer.grant(row.grant_id)),
    )


def _header(row: Row) -> tuple[datetime, str | None]:
    """When the row was observed and by what clock."""
    _, _, _, _, observed, uptime_s, clock = row.leaves[HEADER]
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


def _refused(group: Group, row: Row, error: Refused) -> RefusedRow:
    return RefusedRow(group.collar_id, group.boot, row.seq, error.reason, error.detail)
