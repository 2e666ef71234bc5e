"""An owner corrects what a pet did: at home at once, and in the cloud as far as a grant goes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from cloud.settings import Settings
from gateway.wire.session import BrokerUrl, connect
from gateway.wire.topics import Kind
from tests.patience import PATIENCE_S
from tests.system.cloud_kit import Home as CloudHome
from tests.system.cloud_kit import open_cloud, settings_for
from tests.system.home import Home, birth, empty_home, enrolled, epoch, running_home, send, until
from tests.system.test_cloud_service import running

MINUTE = timedelta(minutes=1)
HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


def said(behaviour: str = "eat", start_at: datetime = HOUR_AGO, minutes: float = 1) -> Any:
    end_at = start_at + minutes * MINUTE
    return {
        "start_at": start_at.isoformat(),
        "end_at": end_at.isoformat(),
        "behaviour": behaviour,
    }


async def test_an_owners_word_shows_at_once_and_can_be_taken_back(tmp_path: Path) -> None:
    path = "/v1/pets/pet-luna/corrections"
    collars = [enrolled("luna"), enrolled("rex")]
    async with running_home(tmp_path, collars) as home:
        async with connect(BrokerUrl.parse(home.broker_url), "luna") as session:
            send(session, Kind.BIRTH, birth("luna"))
            send(session, Kind.EPOCH, epoch("luna", 1, observed_at=HOUR_AGO))
            await session.drained()
        with home.api as api:

            def luna() -> Any:
                return next(
                    each for each in api.get("/v1/pets").json() if each["pet_id"] == "pet-luna"
                )

            await until(lambda: luna()["behaviour"])
            assert (luna()["behaviour"], luna()["corrected"]) == ("rest", None)
            first = api.post(path, json=said("eat", HOUR_AGO - 30 * MINUTE, 60))
            assert first.status_code == 201
            assert first.json()["shared"] is False
            assert "no grant" in first.json()["why"]
            second = api.post(path, json=said("sleep")).json()
            assert luna()["corrected"] == "sleep"
            listed = api.get(path).json()
            assert [(each["behaviour"], each["state"]) for each in listed] == [
                ("sleep", "home"),
                ("eat", "home"),
            ]
            one_minute = {"since": said()["start_at"], "until": said()["end_at"]}
            assert len(api.get(path, params=one_minute | {"limit": 1}).json()) == 1
            before = {"until": (HOUR_AGO - 31 * MINUTE).isoformat()}
            assert api.get(path, params=before).json() == []
            assert api.get("/v1/pets/pet-rex/corrections").json() == []
            one = f"{path}/{second['correction_id']}"
            of_another = f"/v1/pets/pet-rex/corrections/{second['correction_id']}"
            assert api.delete(of_another).status_code == 404
            assert api.delete(one).status_code == 204
            assert api.delete(one).status_code == 404
            assert luna()["corrected"] == "eat"
            assert api.get("/v1/status").json()["labels_queued"] == 0


async def test_a_pet_with_two_collars_is_one_pet(tmp_path: Path) -> None:
    async with running_home(tmp_path, [enrolled("c1", "luna"), enrolled("c2", "luna")]) as home:
        with home.api as api:
            (pet,) = api.get("/v1/pets").json()
            assert (pet["pet_id"], pet["collar_id"]) == ("luna", "c2")
            assert [each["collar_id"] for each in api.get("/v1/collars").json()] == ["c1", "c2"]


def bad() -> list[Any]:
    """Made when they are sent: what is to come has come by the end of a long run."""
    return [
        None,
        [],
        {},
        said("unsure"),
        said("meditate"),
        said("eat") | {"behaviour": ["eat"]},
        said(minutes=0),
        said(minutes=-1),
        said(minutes=60.1),
        said(start_at=datetime.now(UTC) + timedelta(hours=1)),
        said(start_at=datetime.now(UTC) - MINUTE, minutes=30),
        said(start_at=datetime(1969, 12, 31, tzinfo=UTC)),
        said() | {"start_at": "yesterday"},
        said() | {"start_at": "2026-01-01T00:00:00"},
        said() | {"start_at": 2**70},
        said() | {"start_at": "0001-01-01T00:00:00+14:00", "end_at": "0001-01-01T00:00:01+14:00"},
        said() | {"end_at": "9999-12-31T23:59:59-14:00"},
        said() | {"end_at": "NaN"},
    ]


async def test_words_that_cannot_be_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = "/v1/pets/pet-luna/corrections"
    async with running_home(tmp_path, [enrolled("luna")]) as home:
        with home.api as api:
            for body in bad():
                answer = api.post(path, json=body)
                assert answer.status_code == 422, (body, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["detail"], body
            assert api.post(path, content=b"\xff{").status_code == 422
            assert api.post(path, content=b" " * (3 * 2**20)).status_code == 413
            for pet in ("pet-nobody", "pet-rex"):
                assert api.post(f"/v1/pets/{pet}/corrections", json=said()).status_code == 404
            for query in ("since=yesterday", "limit=0", "limit=9999999999", "until=2026-01-01"):
                assert api.get(f"{path}?{query}").status_code == 422, query
            for name in ("..%2fx", "X", "a" * 33, "' OR 1=1 --"):
                assert api.delete(f"{path}/{name}").status_code in (404, 422), name
            assert api.get(path).json() == []
        base = f"http://127.0.0.1:{home.port}"
        with httpx2.Client(base_url=base, timeout=PATIENCE_S) as stranger:
            # this very user, but changes want a token
            for headers in (
                {},
                {"authorization": "Bearer guess"},
                {"origin": "https://pawmesh.example"},
                {"sec-fetch-site": "cross-site"},
            ):
                assert stranger.post(path, json=said(), headers=headers).status_code == 401
                assert stranger.delete(f"{path}/a", headers=headers).status_code == 401
            cross = {"origin": "https://pawmesh.example"}
            assert stranger.get(path, headers=cross).status_code == 401
            assert stranger.get("/v1/collars", headers=cross).status_code == 401


async def household(database: str, folder: Path) -> tuple[Settings, CloudHome, str, str]:
    """An owner in the database, with a pet and a grant of its raw windows for training."""
    settings = settings_for(database, folder)
    async with open_cloud(settings) as cloud:
        owner = await cloud.home()
        (device,) = await owner.enrol()
        grant_id = await owner.grant(device.pet_id, "raw", purpose="training")
    return settings, owner, device.pet_id, grant_id


def at_owners(home: Home, owner: CloudHome, url: str) -> None:
    """The gateway of the owner's site."""
    home.data_dir.mkdir()
    (home.data_dir / "gateway.key").write_text(owner.key.private_bytes_raw().hex())
    home.env = {"GATEWAY_CLOUD_URL": url, "GATEWAY_SITE": owner.site}


async def test_corrections_reach_the_cloud_through_outages_and_leave_it_again(
    database: str, tmp_path: Path
) -> None:
    _, owner, pet_id, _ = await household(database, tmp_path)
    path = f"/v1/pets/{pet_id}/corrections"
    with running(database, tmp_path) as service, empty_home(tmp_path) as home:
        at_owners(home, owner, service.url)
        home.start()
        await home.ready()

        def labels() -> set[str]:
            with httpx2.Client(
                base_url=service.url, headers=owner.headers, timeout=PATIENCE_S
            ) as api:
                return {each["label_id"] for each in api.get("/v1/labels").json()}

        def status() -> Any:
            with home.api as api:
                return api.get("/v1/status").json()

        def say(behaviour: str) -> str:
            with home.api as api:
                answer = api.post(path, json=said(behaviour)).json()
            assert answer["shared"] is True
            return answer["correction_id"]

        await until(lambda: status()["collars"])
        first = say("eat")
        await until(lambda: status()["labels_queued"] == 0)
        assert labels() == {first}

        service.kill()
        second, third = say("drink"), say("play")
        with home.api as api:
            assert api.delete(f"{path}/{first}").status_code == 204
            assert [each["state"] for each in api.get(path).json()] == ["queued", "queued"]
        assert status()["labels_queued"] == 3
        home.kill()
        home.start()
        await home.ready()
        assert status()["labels_queued"] == 3
        service.start()
        await until(lambda: status()["labels_queued"] == 0)
        assert labels() == {second, third}
        with home.api as api:
            assert {each["state"] for each in api.get(path).json()} == {"shared"}


async def test_a_grant_withdrawn_in_an_outage_keeps_home_what_had_not_left(
    database: str, tmp_path: Path
) -> None:
    settings, owner, pet_id, grant_id = await household(database, tmp_path)
    path = f"/v1/pets/{pet_id}/corrections"
    with running(database, tmp_path) as service, empty_home(tmp_path) as home:
        at_owners(home, owner, service.url)
        home.start()
        await home.ready()
        with home.api as api:
            await until(lambda: api.get("/v1/status").json()["collars"])
            await until(lambda: api.get("/v1/collars").json()[0]["windows_per_hour"] == 120)
            service.kill()
            assert api.post(path, json=said()).json()["shared"] is True
            async with open_cloud(settings) as cloud:
                withdrawn = await cloud.http.delete(f"/v1/grants/{grant_id}", headers=owner.headers)
                assert withdrawn.status_code == 204
            service.start()
            await until(lambda: api.get("/v1/status").json()["labels_queued"] == 0)
            (kept,) = api.get(path).json()
            assert (kept["state"], kept["shared"]) == ("home", False)
            assert api.get("/v1/collars").json()[0]["windows_per_hour"] == 0
        with httpx2.Client(
            base_url=service.url, headers=owner.headers, timeout=PATIENCE_S
        ) as cloud_api:
            assert cloud_api.get("/v1/labels").json() == []
