"""Who may see and do what; every route refuses a stranger."""

import stat
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.routing import APIRoute

from gateway.wire.uplink import Registry, unpack_body
from tests.system.cloud_kit import PASSWORD, Cloud, Home

OPEN = {
    ("GET", "/healthz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("HEAD", "/openapi.json"),
    ("POST", "/v1/session"),
}
OPERATORS = {
    ("POST", "/v1/owners"),
    ("POST", "/v1/enrol"),
    ("POST", "/v1/rewards/settle"),
    ("GET", "/v1/rewards/verify"),
}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/owners"): {"email": "a@b", "password": PASSWORD},
    ("POST", "/v1/enrol"): {"site_id": "home1", "pets": [{"name": "Rex"}]},
}


def routes(cloud: Cloud) -> set[tuple[str, str]]:
    """Every route there is, as the published contract and the application name them."""
    published = {
        (method.upper(), path)
        for path, methods in cloud.app.openapi()["paths"].items()
        for method in methods
    }
    mounted = {
        (method, route.path)
        for route in cloud.app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    return published | mounted


async def test_every_route_refuses_a_stranger(cloud: Cloud) -> None:
    closed = routes(cloud) - OPEN
    assert len(closed) >= 20
    for headers in ({}, {"authorization": "Bearer guess"}, {"authorization": "Basic YTpi"}):
        for method, path in sorted(closed):
            url = path.replace("{pet_id}", "p1").replace("{collar_id}", "c1")
            url = url.replace("{grant_id}", "g1")
            response = await cloud.http.request(method, url, headers=headers, json={})
            assert response.status_code == 401, (method, path)
            assert response.headers["content-type"] == "application/problem+json"
            assert response.headers["www-authenticate"] == "Bearer"


async def test_an_owner_is_no_operator(cloud: Cloud) -> None:
    home = await cloud.home()
    assert routes(cloud) >= OPERATORS
    for method, path in OPERATORS:
        await home.call(method, path, BODIES.get((method, path)), expect=403)


async def test_the_operator_does_not_see_what_is_an_owners_alone(cloud: Cloud) -> None:
    home = await cloud.home()
    [device] = await home.enrol()
    for path in ("/v1/wallet", "/v1/grants", f"/v1/pets/{device.pet_id}/history"):
        await cloud.operator("GET", path, expect=403)


async def test_an_owner_sees_and_touches_only_their_own(cloud: Cloud) -> None:
    home, other = await cloud.home(), await cloud.home()
    [mine], [theirs] = await home.enrol(), await other.enrol()
    grant = await other.grant(theirs.pet_id)
    for path in ("households", "sites", "pets", "collars", "grants"):
        listed = await home.call("GET", f"/v1/{path}")
        assert theirs.pet_id not in str(listed)
        assert other.household_id not in str(listed)
    pet, collar = theirs.pet_id, theirs.collar_id
    give = {"pet_ids": [mine.pet_id, pet], "stream": "raw", "purpose": "x", "recipient": "y"}
    attempts = [
        ("GET", f"/v1/pets/{pet}", None),
        ("GET", f"/v1/pets/{pet}/history", None),
        ("DELETE", f"/v1/grants/{grant}", None),
        ("POST", "/v1/grants", give),
        ("POST", "/v1/pets", {"name": "Spy", "household_id": other.household_id}),
        ("POST", "/v1/collars", {"pet_id": pet}),
        ("POST", "/v1/collars", {"pet_id": mine.pet_id, "site_id": other.site}),
        ("POST", f"/v1/collars/{collar}/assign", {"pet_id": mine.pet_id}),
        ("POST", f"/v1/collars/{mine.collar_id}/assign", {"pet_id": pet}),
    ]
    for method, path, body in attempts:
        refused = await home.call(method, path, body, expect=404)
        unknown = path.replace(pet, "p-none").replace(grant, "g-none").replace(collar, "c-none")
        if unknown != path:  # what is not ours looks like what is not there
            body = body and {**body, "pet_id": mine.pet_id}
            absent = await home.call(method, unknown, body, expect=404)
            assert absent["title"] == refused["title"]
    foreign_site = {"site_id": other.site, "gateway_public_key": "00" * 32}
    await home.call("POST", "/v1/sites", foreign_site, expect=409)
    someone = {"name": "Home", "owner_id": other.owner_id}
    await home.call("POST", "/v1/households", someone, expect=403)
    assert grant in await other.granted()


async def test_signing_in_and_out(cloud: Cloud) -> None:
    home = await cloud.home()
    await home.call("GET", "/v1/pets")
    for wrong in ({"email": home.email, "password": "wrong"}, {"email": "x@y", "password": "z"}):
        response = await cloud.http.post("/v1/session", json=wrong)
        assert (response.status_code, response.json()["detail"]) == (
            401,
            "email or password is wrong",
        )
    right = {"email": home.email.upper(), "password": PASSWORD}
    assert (await cloud.http.post("/v1/session", json=right)).status_code == 201
    await home.call("DELETE", "/v1/session", expect=204)
    await home.call("GET", "/v1/pets", expect=401)


async def test_an_email_is_taken_once(cloud: Cloud) -> None:
    home = await cloud.home()
    again = {"email": home.email.title(), "password": PASSWORD}
    problem = await cloud.operator("POST", "/v1/owners", again, expect=409)
    assert problem["status"] == 409


async def test_the_operators_token_is_readable_by_its_owner_only(cloud: Cloud) -> None:
    mode = cloud.settings.operator_token_file.stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


async def test_the_registry_says_who_lives_there_and_rises_with_every_change(
    cloud: Cloud,
) -> None:
    home = await cloud.home()
    seen: list[Registry] = [await home.registry()]
    assert seen[0].collars == []

    async def changed() -> Registry:
        unchanged = await home.signed("GET", "/v1/registry", version=seen[-1].version)
        assert unchanged.status_code == 200, "the registry should have changed"
        seen.append(unpack_body(unchanged.content, Registry))
        assert seen[-1].version > seen[-2].version
        version = seen[-1].version
        assert (await home.signed("GET", "/v1/registry", version=version)).status_code == 304
        return seen[-1]

    [device] = await home.enrol()
    [collar] = (await changed()).collars
    assert (collar.collar_id, collar.pet_id) == (device.collar_id, device.pet_id)
    assert collar.public_key == device.key.public_key().public_bytes_raw()
    pet = await home.call("POST", "/v1/pets", {"name": "Mia", "species": "cat"}, expect=201)
    swap = {"pet_id": pet["pet_id"]}
    await home.call("POST", f"/v1/collars/{device.collar_id}/assign", swap, expect=204)
    [collar] = (await changed()).collars
    assert (collar.pet_name, collar.species) == ("Mia", "cat")
    grant = await home.grant(pet["pet_id"], "position", precision="1km")
    [given] = (await changed()).grants
    assert (given.grant_id, given.precision) == (grant, "1km")
    await home.call("DELETE", f"/v1/grants/{grant}", expect=204)
    assert (await changed()).grants == []
    second = await home.call("POST", "/v1/collars", swap, expect=201)
    assert second["collar_id"] in [c.collar_id for c in (await changed()).collars]


async def test_a_collar_is_on_one_pet_at_a_time(cloud: Cloud) -> None:
    home = await cloud.home()
    [first, second] = await home.enrol(2)
    path = f"/v1/collars/{first.collar_id}/assign"
    past = (datetime.now(UTC) - timedelta(days=60)).isoformat()
    before_it_was_worn = {"pet_id": second.pet_id, "at": past}
    await home.call("POST", path, before_it_was_worn, expect=422)
    await home.call("POST", path, {"pet_id": second.pet_id}, expect=204)
    listed = {c["collar_id"]: c["pet_id"] for c in await home.call("GET", "/v1/collars")}
    assert listed[first.collar_id] == second.pet_id


async def test_a_new_gateway_takes_the_sites_place(cloud: Cloud) -> None:
    home = await cloud.home()
    old = home.key
    fresh = await cloud.home()
    key = fresh.key.public_key().public_bytes_raw().hex()
    site = {"site_id": home.site, "gateway_public_key": key}
    await home.call("POST", "/v1/sites", site, expect=201)
    assert (await home.signed("GET", "/v1/registry")).status_code == 401
    home.key = fresh.key
    assert (await home.signed("GET", "/v1/registry")).status_code == 200
    assert old is not home.key


@pytest.mark.parametrize(
    "pets",
    [
        [],
        [{"name": ""}],
        [{"name": "Rex", "collar_id": "Not A Slug"}],
        [{"name": "Rex", "collar_id": "newline\n"}],
        [{"name": "Rex", "public_key": "abc"}],
        [{"name": "Rex", "assigned_at": "2026-01-01T00:00:00"}],
        [{"name": "Rex", "colour": "brown"}],
        [{"name": "Re\0x"}],
    ],
)
async def test_an_ill_formed_enrolment_is_refused_and_nothing_enrolled(
    cloud: Cloud, pets: list[dict[str, Any]]
) -> None:
    home = await cloud.home()
    body = {"household_id": home.household_id, "site_id": home.site, "pets": pets}
    problem = await cloud.operator("POST", "/v1/enrol", body, expect=422)
    assert problem["title"]
    assert await home.call("GET", "/v1/pets") == []


@pytest.mark.parametrize("never", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_an_instant_that_cannot_be_read_again_is_not_stored(cloud: Cloud, never: str) -> None:
    """One such grant or collar, and the site's gateway would get no registry any more."""
    home = await cloud.home()
    [device] = await home.enrol()
    grant = {"pet_ids": [device.pet_id], "stream": "raw", "purpose": "p", "recipient": "r"}
    for method, path, body in (
        ("POST", "/v1/grants", grant | {"valid_from": never}),
        ("POST", "/v1/grants", grant | {"expires_at": never}),
        ("POST", "/v1/collars", {"pet_id": device.pet_id, "assigned_at": never}),
        ("POST", f"/v1/collars/{device.collar_id}/assign", {"pet_id": device.pet_id, "at": never}),
    ):
        problem = await home.call(method, path, body, expect=422)
        assert problem["errors"], path
    assert (await home.registry()).grants == []


async def test_enrolment_is_all_or_nothing(cloud: Cloud) -> None:
    home = await cloud.home()
    pets = [{"name": "Rex", "collar_id": "c1"}, {"name": "Mia", "collar_id": "c1"}]
    body = {"household_id": home.household_id, "site_id": home.site, "pets": pets}
    await cloud.operator("POST", "/v1/enrol", body, expect=409)
    assert await home.call("GET", "/v1/pets") == []


async def test_wrong_requests_are_problems_too(home_and_cloud: tuple[Home, Cloud]) -> None:
    home, cloud = home_and_cloud
    assert (await home.call("GET", "/v1/nothing", expect=404))["title"] == "Not Found"
    assert (await home.call("PUT", "/v1/pets", expect=405))["status"] == 405
    span = "since=0001-01-01T00:00:00Z&until=0001-01-01T00:00:01Z&limit=1"
    [device] = await home.enrol()
    await home.call("GET", f"/v1/pets/{device.pet_id}/history?{span}")
    await home.call("GET", f"/v1/pets/{device.pet_id}/history?limit=0", expect=422)
    await home.call("GET", f"/v1/pets/{device.pet_id}/history?since=yesterday", expect=422)
    response = await cloud.http.post("/v1/session", content=b"{", headers={"x": "y"})
    assert response.status_code == 422
    response = await cloud.http.post("/v1/session", content=b" " * (3 * 2**20))
    assert response.status_code == 413


@pytest.fixture
async def home_and_cloud(cloud: Cloud) -> tuple[Home, Cloud]:
    return await cloud.home(), cloud


async def test_health_metrics_and_openapi_are_open(cloud: Cloud) -> None:
    for path in ("/healthz", "/metrics", "/openapi.json"):
        assert (await cloud.http.get(path)).status_code == 200
