"""Holds rows to what was granted: the cloud checks again what the gateway has checked."""

from collections.abc import Mapping
from datetime import datetime

from gateway.wire.grants import Grant
from gateway.wire.seal import HEADER
from gateway.wire.topics import Kind


class Enforcer:
    """Says of each row whether its grant covers it; for one batch, at one instant.

    Rows of a batch look alike, so the answer is remembered by grant, kind and leaves shown.

    Args:
        grants: Those the batch's rows claim, by id.
        now: When the batch was received; a grant must be active then.
    """

    def __init__(self, grants: Mapping[str, Grant], now: datetime) -> None:
        self._active = {key: grant for key, grant in grants.items() if grant.active_at(now)}
        self._pet_allowed: dict[tuple[str, Kind, tuple[str, ...]], str | None] = {}

    def pet_allowed(self, grant_id: str, kind: Kind, shown: tuple[str, ...]) -> str | None:
        """The pet whose grant allows to show these leaves of a message of this kind, if any."""
        key = (grant_id, kind, shown)
        try:
            return self._pet_allowed[key]
        except KeyError:
            pet_id = self._pet_allowed[key] = self._decide(grant_id, kind, shown)
            return pet_id

    def grant(self, grant_id: str) -> Grant:
        """The grant that allowed a row."""
        return self._active[grant_id]

    def _decide(self, grant_id: str, kind: Kind, shown: tuple[str, ...]) -> str | None:
        grant = self._active.get(grant_id)
        if grant is None:
            return None
        present = set(shown) - {HEADER}
        allowed = grant.leaves(kind, present)
        return grant.pet_id if allowed and allowed == present else None
