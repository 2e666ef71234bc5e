"""Backups of homes that run and homes that are stopped, and what is made of them again."""

import hashlib
import io
import json
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import zstandard

from pawmesh.backup import back_up, database, restore
from pawmesh.backup.archive import DUMP, FORMAT, MANIFEST
from pawmesh.backup.errors import DamagedBackup, KeepsChanging
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.postgres import Postgres
from pawmesh.errors import IncompatibleData, NoAccess, PawmeshError, UsageError
from pawmesh.house import AlreadyRunning, House, require
from pawmesh.provision import sign_in
from tests.system.old_house import HOUSE_0_1, STORES, make_old_house
from tests.system.test_platform import PAWMESH, Up, eventually, pawmesh, running
from tests.system.test_upgrade import Key, boots, held, owed

SECRETS = (
    *("cloud/operator.token", "gateway/gateway.key", "gateway/gateway.token", "owner.password"),
    *("collars/collar-73606606.json", "fleet/fleet.json", "broker/passwords.json"),
)


def quietly(_: str) -> None:
    """Nobody listens."""


def unpacked(backup: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What any other program finds in a backup: its manifest and its members."""
    with backup.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as plain:
        tar = tarfile.open(fileobj=io.BytesIO(plain.read()))  # noqa: SIM115 - of memory
    found = {each.name: tar.extractfile(each).read() for each in tar}  # pyright: ignore[reportOptionalMemberAccess] - all are files
    return json.loads(found.pop(MANIFEST)), found


def packed(path: Path, entries: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """Any tar under zstd."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, content in entries:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    path.write_bytes(zstandard.compress(plain.getvalue()))
    return path


def made_of(path: Path, manifest: Any, members: dict[str, bytes]) -> Path:
    """A backup with this manifest and these members, right or wrong."""
    entries = [(tarfile.TarInfo(MANIFEST), json.dumps(manifest).encode())]
    entries += [(tarfile.TarInfo(name), content) for name, content in members.items()]
    return packed(path, entries)


@pytest.fixture(scope="module")
def old_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A home in which nothing runs; the tests leave it as it is."""
    data_dir = tmp_path_factory.mktemp("old") / "data"
    make_old_house(data_dir, asleep=timedelta(minutes=5))
    return House(data_dir)


@pytest.fixture(scope="module")
def backup(old_house: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of that home."""
    return back_up(old_house, tmp_path_factory.mktemp("backup") / "old.backup", quietly).file


class TestStopped:
    def test_everything_is_in_it_and_only_its_owner_reads_it(
        self, old_house: House, backup: Path
    ) -> None:
        manifest, members = unpacked(backup)
        assert backup.stat().st_mode & 0o777 == 0o600
        assert list(backup.parent.iterdir()) == [backup]
        assert manifest["format"] == FORMAT
        assert manifest["site"] == "home"
        assert manifest["schemas"]["gateway"] == 2
        assert [each["name"] for each in manifest["members"]] == list(members)
        expected = {f"data/{name}" for name in (*SECRETS, *STORES)}
        expected |= {DUMP, "data/collars/mqtt.password", "data/ports.json"}
        assert set(members) == expected
        for name in SECRETS:
            assert members[f"data/{name}"] == (old_house.data_dir / name).read_bytes()

    def test_a_restored_home_is_the_same_home(
        self, old_house: House, backup: Path, tmp_path: Path
    ) -> None:
        done = pawmesh("restore", backup, "--data-dir", tmp_path / "new/data", "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["members"] == len(unpacked(backup)[1])
        assert told["moved_aside"] is None
        new = House(tmp_path / "new/data")
        assert list(new.data_dir.parent.iterdir()) == [new.data_dir]
        for name in SECRETS:
            path = new.data_dir / name
            assert path.read_bytes() == (old_house.data_dir / name).read_bytes()
            assert path.stat().st_mode & 0o777 == 0o600
            if path.parent != new.data_dir:
                assert path.parent.stat().st_mode & 0o777 == 0o700
        for name, of in ((STORES[0], held), (STORES[1], owed), (STORES[1], boots)):
            assert of(new.data_dir / name) == of(old_house.data_dir / name)
        assert contents(new) == contents(old_house)

    def test_a_taken_place_is_left_alone_or_moved_aside(self, backup: Path, tmp_path: Path) -> None:
        place = House(tmp_path / "data")
        place.data_dir.mkdir()
        (place.data_dir / "mine").write_text("dear to me")
        done = pawmesh("restore", backup, "--data-dir", place.data_dir)
        assert done.returncode == 2
        assert "--replace" in done.stderr
        assert [each.name for each in place.data_dir.iterdir()] == ["mine"]
        with place.occupied(), pytest.raises(AlreadyRunning):
            restore(backup, place, quietly, replace=True)
        (place.data_dir / "lock").unlink()
        assert [each.name for each in place.data_dir.iterdir()] == ["mine"]
        moved = restore(backup, place, quietly, replace=True).moved_aside
        assert moved is not None
        assert (moved / "mine").read_text() == "dear to me"
        assert (place.gateway / "gateway.db").exists()
        assert sorted(tmp_path.iterdir()) == sorted([place.data_dir, moved])

    def test_a_collar_that_started_between_the_copies_uses_no_boot_twice(
        self, tmp_path: Path
    ) -> None:
        make_old_house(tmp_path / "data", asleep=timedelta())
        with closing(sqlite3.connect(tmp_path / "data" / STORES[1])) as db, db:
            db.execute("UPDATE collar SET boot = 1 WHERE collar_id = 'fleet-00001'")
        back_up(House(tmp_path / "data"), tmp_path / "file", quietly)
        done = restore(tmp_path / "file", House(tmp_path / "new"), quietly)
        assert done.collars_ahead == 1
        assert set(boots(tmp_path / "new" / STORES[1]).values()) == {2}

    def test_the_truth_is_taken_when_asked_for(self, old_house: House, tmp_path: Path) -> None:
        truth = old_house.fleet / "truth" / "day.parquet"
        truth.parent.mkdir()
        truth.write_bytes(b"what really happened")
        name = "data/fleet/truth/day.parquet"
        try:
            assert name not in unpacked(back_up(old_house, tmp_path / "file", quietly).file)[1]
            with_it = back_up(old_house, tmp_path / "file", quietly, with_truth=True)
        finally:
            shutil.rmtree(truth.parent)
        assert unpacked(with_it.file)[1][name] == b"what really happened"


def contents(house: House) -> dict[str, list[Any]]:
    """All rows of all tables of a stopped home's database."""
    with (
        Postgres(house.data_dir / "database", free_ports(1)[0]).running() as url,
        psycopg.connect(url) as db,
    ):
        tables = db.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        return {
            name: sorted(map(str, db.execute(f'SELECT * FROM "{name}"'.encode()).fetchall()))
            for (name,) in tables
        }


class TestUnsteadyFolder:
    def test_keys_that_change_meanwhile_are_copied_again(
        self, old_house: House, tmp_path: Path
    ) -> None:
        late = old_house.data_dir / "collars" / "late.json"

        def enrol(said: str) -> None:
            if "database" in said and not late.exists():
                late.write_text("{}")

        try:
            made = back_up(old_house, tmp_path / "file", enrol)
        finally:
            late.unlink()
        assert "data/collars/late.json" in unpacked(made.file)[1]

    def test_a_folder_that_never_rests_is_named(self, old_house: House, tmp_path: Path) -> None:
        restless = old_house.data_dir / "collars" / "restless.json"
        restless.write_text("")

        def write(said: str) -> None:
            if "database" in said:
                restless.write_text(restless.read_text() + "x")

        try:
            with pytest.raises(KeepsChanging, match=r"restless\.json"):
                back_up(old_house, tmp_path / "file", write)
        finally:
            restless.unlink()
        assert list(tmp_path.iterdir()) == []


class TestPlaces:
    def test_a_killed_backup_leaves_no_half_file_and_nothing_for_ever(
        self, old_house: House, tmp_path: Path
    ) -> None:
        file = tmp_path / "home.backup"
        back_up(old_house, file, quietly)
        before = file.read_bytes()
        command = [*PAWMESH, "backup", file, "--data-dir", old_house.data_dir]
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert eventually(lambda: any(tmp_path.glob(".home.backup.*.part/data")))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert file.read_bytes() == before
        assert {each.name for each in tmp_path.iterdir()} > {file.name}  # the other is a remnant
        back_up(old_house, file, quietly)
        assert list(tmp_path.iterdir()) == [file]

    def test_an_interrupted_backup_is_no_success(self, old_house: House, tmp_path: Path) -> None:
        command = [*PAWMESH, "backup", tmp_path / "file", "--data-dir", old_house.data_dir]
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert eventually(lambda: any(tmp_path.glob(".file.*.part/data")))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 1
        assert list(tmp_path.iterdir()) == []

    def test_places_that_cannot_be_used_are_told(self, old_house: House, tmp_path: Path) -> None:
        text = tmp_path / "thesis.txt"
        text.write_text("do not overwrite me")
        for file in (
            *(text, tmp_path, tmp_path / "none" / "file"),
            *(old_house.data_dir / "file", old_house.gateway / "file"),
        ):
            with pytest.raises(UsageError):
                back_up(old_house, file, quietly)
        with pytest.raises(UsageError):
            back_up(House(tmp_path / "none"), tmp_path / "file", quietly)
        for file, place in ((tmp_path / "none", tmp_path / "data"), (text, text)):
            with pytest.raises(UsageError):
                restore(file, House(place), quietly)
        assert text.read_text() == "do not overwrite me"
        assert list(tmp_path.iterdir()) == [text]
        done = pawmesh("backup", "/proc/file", "--data-dir", old_house.data_dir)
        assert done.returncode == 6
        assert "Traceback" not in done.stderr

    def test_a_folder_without_a_database_asks_for_the_users_own(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "owner.password").write_text("x")
        with pytest.raises(UsageError, match="--database"):
            back_up(House(tmp_path / "data"), tmp_path / "file", quietly)
        assert [each.name for each in tmp_path.iterdir()] == ["data"]


class TestHostileFiles:
    """Nothing is put in place, whatever the file is."""

    @pytest.fixture
    def refused(self, tmp_path: Path) -> Iterator[Callable[..., str]]:
        """Restores a file and returns what it was refused for; nothing may be left of the try."""
        place = tmp_path / "place" / "data"
        place.parent.mkdir()

        def try_it(file: Path, kind: type[PawmeshError] = DamagedBackup) -> str:
            with pytest.raises(kind) as caught:
                restore(file, House(place), quietly)
            assert list(place.parent.iterdir()) == []
            return str(caught.value)

        yield try_it
        assert not (tmp_path / "escaped").exists()

    def test_what_is_no_backup_is_told_as_such(
        self, refused: Callable[..., str], tmp_path: Path
    ) -> None:
        file = tmp_path / "file"
        for content in (b"", b"PK\x03\x04", b"\x28\xb5", zstandard.compress(b"x" * 2_000)):
            file.write_bytes(content)
            assert refused(file)
        packed(file, [(tarfile.TarInfo("readme"), b"a tar of something else")])
        assert "is no backup" in refused(file)
        file.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(range(256)) * 8)
        assert "damaged" in refused(file)
        done = pawmesh("restore", file, "--data-dir", tmp_path / "data")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr

    def test_a_part_of_a_backup_is_not_taken_for_one(
        self, refused: Callable[..., str], backup: Path, tmp_path: Path
    ) -> None:
        whole = backup.read_bytes()
        for share in (0.001, 0.01, 0.3, 0.6, 0.9, 0.99):
            file = tmp_path / "file"
            file.write_bytes(whole[: int(len(whole) * share)])
            assert refused(file)

    def test_a_turned_bit_is_found(
        self, refused: Callable[..., str], backup: Path, tmp_path: Path
    ) -> None:
        whole = backup.read_bytes()
        for at in range(100, len(whole), len(whole) // 12):
            file = tmp_path / "file"
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
            assert refused(file)

    @pytest.mark.parametrize(
        "name",
        [
            *("../escaped", "data/../../escaped", "/etc/passwd", "data//x", "data/./x", "other"),
            *("data/a\nb", "data/a\\b", "data/database/cluster/PG_VERSION", "data/lock", ""),
            *("data/running.json", "data", "data/", "x" * 300),
        ],
    )
    def test_a_name_that_leads_elsewhere(
        self, refused: Callable[..., str], backup: Path, tmp_path: Path, name: str
    ) -> None:
        manifest, members = unpacked(backup)
        moved = manifest["members"][0]["name"]
        manifest["members"][0]["name"] = name
        members = {(name if each == moved else each): data for each, data in members.items()}
        members.pop("", None)
        members.pop("x" * 300, None)
        assert refused(made_of(tmp_path / "file", manifest, members))

    def test_links_and_other_types_are_no_members(
        self, refused: Callable[..., str], backup: Path, tmp_path: Path
    ) -> None:
        manifest, members = unpacked(backup)
        first = manifest["members"][0]
        first["size"], first["sha256"] = 0, "0" * 64
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            link = tarfile.TarInfo(first["name"])
            link.type, link.linkname = kind, "../../escaped"
            entries = [(tarfile.TarInfo(MANIFEST), json.dumps(manifest).encode()), (link, b"")]
            entries += [(tarfile.TarInfo(n), d) for n, d in list(members.items())[1:]]
            assert "no plain file" in refused(packed(tmp_path / "file", entries))

    def test_members_and_manifest_must_agree(
        self, refused: Callable[..., str], backup: Path, tmp_path: Path
    ) -> None:
        manifest, members = unpacked(backup)
        file = tmp_path / "file"

        def told(**changes: Any) -> Any:
            first, *others = manifest["members"]
            return {**manifest, "members": [{**first, **changes}, *others]}

        first = manifest["members"][0]
        assert "more than" in refused(made_of(file, manifest, {**members, "data/more": b"x"}))
        fewer = dict(list(members.items())[:-1])
        assert refused(made_of(file, manifest, fewer))
        assert refused(made_of(file, manifest, dict(reversed(members.items()))))
        assert "digest" in refused(made_of(file, told(sha256="0" * 64), members))
        assert refused(made_of(file, told(size=first["size"] - 1), members))
        assert refused(made_of(file, told(size=-1), members))
        assert refused(made_of(file, told(mode=0o4755), members))
        twice = {**manifest, "members": [first, *manifest["members"]]}
        assert "twice" in refused(made_of(file, twice, members))
        inside = {**first, "name": f"{first['name']}/within", "size": 0}
        nested = {**manifest, "members": [first, inside, *manifest["members"][1:]]}
        assert refused(made_of(file, nested, members), PawmeshError)
        without = {**manifest, "members": manifest["members"][:-1]}
        assert "no database" in refused(made_of(file, without, fewer))
        dump = {**manifest, "members": manifest["members"][-1:]}
        assert "nothing of a data folder" in refused(made_of(file, dump, {DUMP: members[DUMP]}))
        coloured = {"format": FORMAT + 1, "pawmesh": "\x1b[31m"}
        for nonsense in ([], {}, {"format": "1"}, {"format": FORMAT}, None, coloured):
            assert refused(made_of(file, nonsense, members))
        deep = b'{"format": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        assert "cannot be read" in refused(packed(file, [(tarfile.TarInfo(MANIFEST), deep)]))

    def test_a_bomb_meets_the_size_it_owns_up_to(
        self, refused: Callable[..., str], backup: Path, tmp_path: Path
    ) -> None:
        manifest, members = unpacked(backup)
        first = manifest["members"][0]["name"]
        bomb = made_of(tmp_path / "file", manifest, {**members, first: bytes(300_000_000)})
        assert bomb.stat().st_size < 1_000_000
        assert refused(bomb)
        manifest["members"][0]["size"] = 2**50
        said = refused(made_of(tmp_path / "file", manifest, members), NoAccess)
        assert "Make room" in said
        info = tarfile.TarInfo(MANIFEST)
        assert refused(packed(tmp_path / "file", [(info, b" " * 50_000_000)]))

    def test_a_dump_that_is_none_is_refused_by_the_database(
        self, refused: Callable[..., str], backup: Path, tmp_path: Path
    ) -> None:
        manifest, members = unpacked(backup)
        members[DUMP] = b"PGDMP and then nothing"
        of_dump = next(each for each in manifest["members"] if each["name"] == DUMP)
        of_dump["size"] = len(members[DUMP])
        of_dump["sha256"] = hashlib.sha256(members[DUMP]).hexdigest()
        assert "pg_restore" in refused(made_of(tmp_path / "file", manifest, members), PawmeshError)


class TestNewer:
    @pytest.mark.parametrize(
        ("where", "value"),
        [
            (("format",), FORMAT + 1),
            (("schemas", "gateway"), 99),
            (("schemas", "flash"), 99),
            (("schemas", "cloud"), ["9999_from_tomorrow.sql"]),
        ],
    )
    def test_a_backup_of_a_newer_version_is_told_with_what_to_do(
        self, backup: Path, tmp_path: Path, where: tuple[str, ...], value: object
    ) -> None:
        manifest, members = unpacked(backup)
        place = manifest
        for name in where[:-1]:
            place = place[name]
        place[where[-1]] = value
        file = made_of(tmp_path / "file", manifest, members)
        with pytest.raises(IncompatibleData, match="newer"):
            restore(file, House(tmp_path / "data"), quietly)
        assert list(tmp_path.iterdir()) == [file]

    def test_the_command_ends_with_the_code_of_its_kind(self, tmp_path: Path) -> None:
        file = made_of(tmp_path / "file", {"format": 7, "pawmesh": "9.0"}, {})
        done = pawmesh("restore", file, "--data-dir", tmp_path / "data")
        assert done.returncode == 5
        assert "Restore it with a newer Pawmesh" in " ".join(done.stderr.split())

    def test_a_form_that_only_a_newer_version_can_read_is_newer_not_damaged(
        self, tmp_path: Path
    ) -> None:
        file = made_of(tmp_path / "file", {"format": 7, "pawmesh": "9.0", "else": True}, {})
        with pytest.raises(IncompatibleData, match=r"Pawmesh 9\.0"):
            restore(file, House(tmp_path / "data"), quietly)

    def test_a_manifest_that_hides_a_newer_database_does_not_help(self, tmp_path: Path) -> None:
        make_old_house(tmp_path / "data", asleep=timedelta())
        house = House(tmp_path / "data")
        with (
            Postgres(house.data_dir / "database", free_ports(1)[0]).running() as url,
            psycopg.connect(url) as db,
        ):
            db.execute("INSERT INTO schema_migration VALUES ('9999_from_tomorrow.sql', 'x')")
        manifest, members = unpacked(back_up(house, tmp_path / "true", quietly).file)
        manifest["schemas"]["cloud"].remove("9999_from_tomorrow.sql")
        file = made_of(tmp_path / "file", manifest, members)
        with pytest.raises(IncompatibleData, match="9999_from_tomorrow"):
            restore(file, House(tmp_path / "new"), quietly)
        assert not (tmp_path / "new").exists()


class TestDatabaseOfTheUsersOwn:
    def test_it_is_saved_and_filled_again(
        self, old_house: House, backup: Path, tmp_path: Path, empty_database: str
    ) -> None:
        done = restore(backup, House(tmp_path / "one"), quietly, database_url=empty_database)
        assert done.members == len(unpacked(backup)[1])
        one = House(tmp_path / "one")
        assert not (one.data_dir / "database").exists()
        with pytest.raises(UsageError, match="not empty"):
            restore(backup, House(tmp_path / "two"), quietly, database_url=empty_database)
        assert not (tmp_path / "two").exists()
        made = back_up(one, tmp_path / "file", quietly, database_url=empty_database)
        restore(made.file, House(tmp_path / "three"), quietly)
        assert contents(House(tmp_path / "three")) == contents(old_house)

    def test_what_is_none_of_ours_is_refused(self, tmp_path: Path, empty_database: str) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "owner.password").write_text("x")
        words = ("backup", tmp_path / "file", "--data-dir", tmp_path / "data", "--database")
        nowhere = "postgresql://ada:secret@127.0.0.1:1/none"
        for url, code in ((empty_database, 2), ("nonsense", 2), (nowhere, 1)):
            done = pawmesh(*words, url)
            assert done.returncode == code, done.stderr
            assert "Traceback" not in done.stderr
            assert "secret" not in done.stderr
        with psycopg.connect(empty_database) as db:
            db.execute("CREATE SCHEMA _timescaledb_catalog")
        done = pawmesh(*words, empty_database)
        assert done.returncode == 2
        assert "TimescaleDB" in done.stderr

    def test_a_server_newer_than_every_program_here_names_the_remedy(self) -> None:
        with pytest.raises(PawmeshError, match="postgresql-client-99") as caught:
            database._program("pg_dump", 99)  # pyright: ignore[reportPrivateUsage]
        assert caught.value.exit_code == 3


@dataclass
class Live:
    """A home whose collars catch up with a night while it is backed up."""

    up: Up
    acked: dict[str, tuple[int, int]]
    """What the gateway had acknowledged when the backup began."""
    backup: Path
    told: dict[str, Any]
    restored: House
    """Not started yet."""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLOUD_EMISSION_PERIOD_S", "5")
        patch.setenv("CLOUD_SETTLE_EVERY_S", "1")
        with running(folder, "--collars", 3, "--history", "8h", "--port-base", 0) as up:
            house = House(up.data_dir)
            with sign_in(house, up.noted["cloud_url"]) as owner:
                grant = {"pet_ids": ["pet-fleet-00001", "pet-fleet-00002"], "stream": "activity"}
                grant |= {"purpose": "research", "recipient": "pawmesh", "precision": "exact"}
                require(owner.post("/v1/grants", json=grant | {"valid_from": "2020-01-01T00:00Z"}))
                assert eventually(lambda: require(owner.get("/v1/wallet"))["balance"] > 0)
            acked = acknowledged(house)
            file = folder / "home.backup"
            told = up.command("backup", file)
            done = pawmesh("restore", file, "--data-dir", folder / "again" / "data")
            assert done.returncode == 0, done.stderr
            yield Live(up, acked, file, told, House(folder / "again" / "data"))


def acknowledged(house: House) -> dict[str, tuple[int, int]]:
    with closing(sqlite3.connect(house.gateway / "gateway.db")) as db:
        rows = db.execute("SELECT collar_id, acked_boot, acked_seq FROM contiguity")
        return {collar_id: (boot, seq) for collar_id, boot, seq in rows}


class TestRunning:
    def test_the_home_goes_on_and_the_command_says_that_the_file_is_secret(
        self, live: Live
    ) -> None:
        assert live.told["file"] == str(live.backup)
        assert live.told["secret"] is True
        assert live.told["size"] == live.backup.stat().st_size
        stored = live.up.stored()
        assert eventually(lambda: live.up.stored() > stored)
        assert not live.up.said("ended")  # no part died of it

    def test_the_copies_agree_with_each_other(self, live: Live) -> None:
        house = live.restored
        store = held(house.gateway / "gateway.db")
        flash = house.fleet / "fleet" / "flash.sqlite"
        with closing(sqlite3.connect(house.fleet / "fleet" / "published.sqlite")) as db:
            rows = db.execute("SELECT collar_id, boot, seq FROM published")
            published: set[Key] = set(rows.fetchall())
        assert len(published) > 100
        assert published - store.keys() <= owed(flash)  # a collar forgot only what is held
        for collar_id, until in live.acked.items():
            assert acknowledged(house)[collar_id] >= until
        with closing(sqlite3.connect(house.gateway / "gateway.db")) as db:
            query = """SELECT m.collar_id, m.boot, m.seq FROM outbox JOIN message m
                       ON m.id = message_id WHERE state = 'synced'"""
            synced: set[Key] = set(db.execute(query).fetchall())
        with (
            Postgres(house.data_dir / "database", free_ports(1)[0]).running() as url,
            psycopg.connect(url) as db,
        ):
            cloud: set[Key] = set(db.execute("SELECT collar_id, boot, seq FROM message").fetchall())
        assert synced
        assert synced <= cloud

    def test_a_restored_home_lives_on(self, live: Live) -> None:
        before = held(live.restored.gateway / "gateway.db")
        boots_before = boots(live.restored.fleet / "fleet" / "flash.sqlite")
        folder = live.restored.data_dir.parent
        with running(folder, "--collars", 3, "--port-base", 0) as up:
            store = live.restored.gateway / "gateway.db"
            assert {p["name"] for p in up.command("status")["pets"]} == {"Luna", "Rex", "Bella"}
            fresh = {(collar, boot + 1, 0) for collar, boot in boots_before.items()}
            assert eventually(lambda: fresh <= held(store).keys())
            assert eventually(lambda: up.stored() > len(before) + 50)
            now = held(store)
            assert {key: now[key] for key in before} == before
            with closing(sqlite3.connect(store)) as db:
                assert db.execute("SELECT * FROM rejected").fetchall() == []
                assert db.execute("SELECT sum(lost) FROM contiguity").fetchone() == (0,)
            with sign_in(live.restored, up.noted["cloud_url"]) as owner:
                assert len(require(owner.get("/v1/grants"))) == 2
                assert require(owner.get("/v1/wallet"))["balance"] > 0
            with live.restored.operator_api(up.noted["cloud_url"]) as cloud:
                assert require(cloud.get("/v1/rewards/verify")) == {"ok": True, "findings": []}
            with psycopg.connect(up.noted["database_url"]) as db:
                assert db.execute("SELECT * FROM refused").fetchall() == []
            assert up.interrupt() == 0

    def test_two_backups_at_once_do_not_meet(self, live: Live, tmp_path: Path) -> None:
        made: list[subprocess.CompletedProcess[str]] = []
        words = ("backup", tmp_path / "file", "--data-dir", live.up.data_dir)
        both = [threading.Thread(target=lambda: made.append(pawmesh(*words))) for _ in range(2)]
        for each in both:
            each.start()
        for each in both:
            each.join()
        assert [done.returncode for done in made] == [0, 0]
        assert list(tmp_path.iterdir()) == [tmp_path / "file"]
        assert unpacked(tmp_path / "file")[0]["format"] == FORMAT


def test_the_old_home_is_small_enough_to_keep() -> None:
    assert sum(each.stat().st_size for each in HOUSE_0_1.rglob("*") if each.is_file()) < 1_000_000
