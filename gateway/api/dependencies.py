"""What routes are handed: the store, the household, and parameters in their ranges."""

from typing import Annotated

from fastapi import Depends, HTTPException, Path, Query, Request

from gateway.registry import Household
from gateway.store import Store
from gateway.wire.topics import ID_PATTERN


def _store(request: Request) -> Store:
    return request.app.state.store


def _household(request: Request) -> Household:
    return request.app.state.household


StoreDep = Annotated[Store, Depends(_store)]
HouseholdDep = Annotated[Household, Depends(_household)]
Limit = Annotated[int, Query(ge=1, le=5_000)]
Slug = Annotated[str, Path(pattern=ID_PATTERN)]


def _own_pet(household: HouseholdDep, pet_id: Slug) -> str:
    if pet_id not in {collar.pet_id for collar in household.collars.values()}:
        raise HTTPException(404, f"no pet {pet_id} in this home")
    return pet_id


OwnPet = Annotated[str, Depends(_own_pet)]
