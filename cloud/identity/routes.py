"""Routes of identity."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from cloud.api.dependencies import CallerDep, Db, Operator, Owner, ServicesDep, Slug
from cloud.errors import Invalid, NotAllowed
from cloud.identity import collars, households, models, sessions, sites
from cloud.identity.collars import Collar
from cloud.identity.households import Household, Pet
from cloud.identity.ids import new_id
from cloud.identity.sites import GatewayDep, Site
from gateway.wire.uplink import CONTENT_TYPE, pack_body

router = APIRouter(prefix="/v1", tags=["identity"])


@router.post("/owners", status_code=201)
async def add_owner(new: models.NewOwner, _: Operator, db: Db) -> models.OwnerId:
    """Create an owner (operator)."""
    return models.OwnerId(owner_id=await sessions.add_owner(db, new.email, new.password))


@router.post("/session", status_code=201)
async def sign_in(given: models.SignIn, services: ServicesDep) -> models.SignedIn:
    """Sign in."""
    ttl_s = services.settings.session_ttl_s
    session = await sessions.sign_in(services.database, given.email, given.password, ttl_s)
    return models.SignedIn(
        token=session.token, owner_id=session.owner_id, expires_at=session.expires_at
    )


@router.delete("/session", status_code=204)
async def sign_out(request: Request, _: Owner, db: Db) -> None:
    """Sign out: the token is worth nothing from now on."""
    token = request.headers["authorization"].partition(" ")[2].strip()
    await sessions.sign_out(db, token.encode())


@router.get("/households")
async def list_households(caller: CallerDep, db: Db) -> list[Household]:
    """The caller's households."""
    return await households.list_households(db, caller.owner_id)


@router.post("/households", status_code=201)
async def add_household(new: models.NewHousehold, caller: CallerDep, db: Db) -> Household:
    """Create a household."""
    if caller.owner_id is not None and new.owner_id not in (None, caller.owner_id):
        raise NotAllowed("a household of someone else")
    owner_id = caller.owner_id or new.owner_id
    if owner_id is None:
        raise Invalid("owner_id: the operator has to name the owner")
    return await households.add_household(db, owner_id, new.name)


@router.get("/sites")
async def list_sites(caller: CallerDep, db: Db) -> list[Site]:
    """The caller's sites."""
    return await sites.list_sites(db, caller.owner_id)


@router.post("/sites", status_code=201)
async def register_site(new: models.NewSite, caller: CallerDep, db: Db) -> Site:
    """Register a gateway's public key for a site."""
    household = await households.own_household(db, caller.owner_id, new.household_id)
    key = bytes.fromhex(new.gateway_public_key)
    return await sites.register_site(db, household, new.site_id, key)


@router.get("/registry")
async def registry(gateway: GatewayDep, db: Db, version: int = 0) -> Response:
    """Collars, pets and grants of the signing gateway's site; 304 when ``version`` is current."""
    if version == gateway.version:
        return Response(status_code=304)
    now = await sites.registry_of(db, gateway.site_id, gateway.version)
    return Response(pack_body(now), media_type=CONTENT_TYPE)


@router.get("/pets")
async def list_pets(caller: CallerDep, db: Db) -> list[Pet]:
    """The caller's pets."""
    return await households.list_pets(db, caller.owner_id)


@router.post("/pets", status_code=201)
async def add_pet(new: models.NewPet, caller: CallerDep, db: Db) -> Pet:
    """Create a pet."""
    household = await households.own_household(db, caller.owner_id, new.household_id)
    return await households.add_pet(db, household, new.name, new.species, new.pet_id)


@router.get("/collars")
async def list_collars(caller: CallerDep, db: Db) -> list[Collar]:
    """The caller's collars."""
    return await collars.list_collars(db, caller.owner_id)


@router.post("/collars", status_code=201)
async def add_collar(new: models.NewCollar, caller: CallerDep, db: Db) -> Collar:
    """Register a collar on a pet."""
    return await collars.add_collar(
        db,
        caller.owner_id,
        collar_id=new.collar_id,
        pet_id=new.pet_id,
        site_id=new.site_id,
        public_key=bytes.fromhex(new.public_key) if new.public_key else None,
        at=new.assigned_at or datetime.now(UTC),
    )


@router.post("/collars/{collar_id}/assign", status_code=204)
async def assign(collar_id: Slug, new: models.Assign, caller: CallerDep, db: Db) -> None:
    """Put the collar on another pet; each keeps its history."""
    at = new.at or datetime.now(UTC)
    await collars.assign(db, caller.owner_id, collar_id, new.pet_id, at)


@router.post("/enrol", status_code=201)
async def enrol(new: models.Enrol, _: Operator, db: Db) -> list[models.Enrolled]:
    """Create many pets with their collars at once (operator)."""
    household = await households.own_household(db, None, new.household_id)
    now = datetime.now(UTC)
    newcomers = [
        collars.Newcomer(
            name=each.name,
            species=each.species,
            pet_id=each.pet_id or new_id("pet"),
            collar_id=each.collar_id or new_id("collar"),
            public_key=bytes.fromhex(each.public_key) if each.public_key else None,
            assigned_at=each.assigned_at or now,
        )
        for each in new.pets
    ]
    await collars.enrol(db, household, new.site_id, newcomers)
    return [models.Enrolled(pet_id=n.pet_id, collar_id=n.collar_id) for n in newcomers]
