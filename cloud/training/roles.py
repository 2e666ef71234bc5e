"""Who is learned from and who judges: decided once for each pet, for ever."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """A pet's part in learning."""

    FIT = "fit"
    """Models learn from it."""
    JUDGE = "judge"
    """A stranger to every model, for ever: it tells how good they are on animals they never met."""


def decide(newcomers: Mapping[str, str], decided: Counter[str]) -> dict[str, Role]:
    """The roles of pets that have none yet: of each species the second, fifth, eighth... judges.

    So one in three judges, and the first judge is there with the second pet. The order is drawn
    by lot (by a hash of the id), whatever the pets' data are like.

    Args:
        newcomers: Species by pet id.
        decided: How many of each species have a role already.

    >>> sorted(decide({"a": "dog", "b": "dog", "c": "dog"}, Counter()).values())
    [<Role.FIT: 'fit'>, <Role.FIT: 'fit'>, <Role.JUDGE: 'judge'>]
    """
    count = Counter(decided)
    roles: dict[str, Role] = {}
    for pet_id in sorted(newcomers, key=_lot):
        species = newcomers[pet_id]
        count[species] += 1
        roles[pet_id] = Role.JUDGE if count[species] % 3 == 2 else Role.FIT
    return roles


def _lot(pet_id: str) -> str:
    return hashlib.sha256(f"pawmesh-role {pet_id}".encode()).hexdigest()
