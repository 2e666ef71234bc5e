"""The secrets of a deployment: made once, whole, private, and of use to nobody else."""

import ipaddress
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.topics import DOWNLINK_KINDS, UPLINK_KINDS
from pawmesh.deployment import __main__ as command
from pawmesh.deployment import logins
from pawmesh.deployment.certificates import certify_broker, expires_at, make_authority, names_of
from pawmesh.deployment.folder import AlreadyPrepared, NotPrepared, Secrets, require_id
from pawmesh.errors import NoAccess
from tests.strategies import ids


@pytest.fixture
def made(tmp_path: Path) -> Secrets:
    secrets = Secrets(tmp_path / "secrets")
    secrets.prepare(["home"], ["broker.example.org"])
    return secrets


def files(secrets: Secrets) -> dict[str, bytes]:
    return {
        str(path.relative_to(secrets.path)): path.read_bytes()
        for path in secrets.path.rglob("*")
        if path.is_file()
    }


def test_only_the_authoritys_certificate_can_be_read_by_others(made: Secrets) -> None:
    for path in (made.path, *made.path.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        expected = 0o700 if path.is_dir() else 0o644 if path.name == "ca.crt" else 0o600
        assert mode == expected, path


def test_no_two_deployments_share_a_secret(made: Secrets, tmp_path: Path) -> None:
    other = Secrets(tmp_path / "other")
    other.prepare(["home"], [])
    theirs = files(other)
    same = [name for name, content in files(made).items() if theirs[name] == content]
    assert same == ["broker.acl"]


def test_what_is_there_is_never_made_again(made: Secrets) -> None:
    before = files(made)
    with pytest.raises(AlreadyPrepared, match="stay as they are"):
        made.prepare(["home"], [])
    with pytest.raises(AlreadyPrepared):
        made.add_site("home")
    assert files(made) == before


@pytest.mark.parametrize(
    ("sites", "names"),
    [
        (["Home"], []),
        (["home", "a/b"], []),
        (["../etc"], []),
        (["home"], ["not a name\n"]),
        ([""], []),
    ],
)
def test_a_wrong_word_leaves_nothing_behind(
    tmp_path: Path, sites: list[str], names: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"is (no|neither)"):
        Secrets(tmp_path / "secrets").prepare(sites, names)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_no_access(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoAccess, match="cannot be written"):
        Secrets(tmp_path / "file" / "secrets").prepare(["home"], [])


def test_another_site_gets_its_own_and_the_first_keeps_its_own(made: Secrets) -> None:
    before = files(made)
    made.add_site("cabin")
    assert made.sites == ["cabin", "home"]
    after = files(made)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"broker.passwords", "broker.acl"}
    assert after["broker.passwords"].startswith(before["broker.passwords"])
    assert made.gateway_public_key("cabin") != made.gateway_public_key("home")
    with pytest.raises(ValueError, match="is no id"):
        made.add_site("Not An Id")


def test_what_was_not_prepared_is_said(tmp_path: Path) -> None:
    empty = Secrets(tmp_path / "secrets")
    for ask in (
        lambda: empty.add_site("home"),
        empty.refresh_rules,
        empty.renew_certificate,
        lambda: empty.gateway_public_key("home"),
        lambda: empty.read("operator.token"),
    ):
        with pytest.raises(NotPrepared, match="deploy prepare"):
            ask()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_as_root_each_secret_is_given_to_its_reader(made: Secrets) -> None:
    assert (made.path / "broker.key").stat().st_uid == 1883
    assert (made.path / "database.password").stat().st_uid == 70
    assert (made.path / "sites" / "home" / "gateway.key").stat().st_uid == 10_001
    assert (made.path / "ca.key").stat().st_uid == made.path.parent.stat().st_uid


def test_the_rules_let_each_direction_through_for_its_own_site_alone() -> None:
    rules = logins.access_rules(["cabin", "home"])
    users: dict[str, list[str]] = {}
    for line in rules.splitlines():
        word, _, rest = line.partition(" ")
        if word == "user":
            users[rest] = topics = []
        elif word == "topic":
            topics.append(rest)
    assert set(users) == {
        logins.HEALTH,
        *(
            login(site)
            for site in ("cabin", "home")
            for login in (logins.gateway_login, logins.collars_login)
        ),
    }
    assert users["gateway.home"] == ["readwrite pawmesh/+/home/#"]
    assert set(users["collars.home"]) == {
        *(f"write pawmesh/+/home/+/{kind}" for kind in UPLINK_KINDS),
        *(f"read pawmesh/+/home/+/{kind}" for kind in DOWNLINK_KINDS),
    }


@given(ids, ids)
def test_no_site_is_called_like_a_login_of_ours(one: str, other: str) -> None:
    require_id(one)
    users = [logins.HEALTH, logins.gateway_login(one), logins.collars_login(other)]
    assert len(set(users)) == 3
    with pytest.raises(ValueError, match="is no id"):
        require_id(logins.gateway_login(one))


@given(
    st.text(max_size=40).filter(
        lambda text: not set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    )
)
def test_what_could_change_a_rule_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match="is no id"):
        require_id(text)


def test_a_password_is_stored_as_a_hash_with_a_salt_of_its_own() -> None:
    password = logins.make_password()
    lines = {logins.password_line("home", password) for _ in range(3)}
    assert len(lines) == 3
    assert not [line for line in lines if password in line]
    assert all(line.startswith("home:$7$") and line.endswith("\n") for line in lines)


class TestCertificates:
    def test_it_is_for_every_name_and_of_the_authority(self, made: Secrets) -> None:
        certificate = x509.load_pem_x509_certificate((made.path / "broker.crt").read_bytes())
        authority = x509.load_pem_x509_certificate((made.path / "ca.crt").read_bytes())
        certificate.verify_directly_issued_by(authority)
        assert names_of(made.read("broker.crt")) == [
            *("mosquitto", "localhost", "127.0.0.1", "broker.example.org"),
        ]

    def test_addresses_are_addresses_and_names_are_names(self) -> None:
        made = certify_broker(make_authority(), ["192.0.2.7", "fd00::1", "broker.lan"])
        read = x509.load_pem_x509_certificate(made.certificate.encode())
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["broker.lan"]
        assert names.get_values_for_type(x509.IPAddress) == [
            ipaddress.ip_address("192.0.2.7"),
            ipaddress.ip_address("fd00::1"),
        ]

    def test_renewing_keeps_names_and_authority(self, made: Secrets) -> None:
        before, authority = made.read("broker.crt"), made.read("ca.crt")
        made.renew_certificate()
        assert made.read("broker.crt") != before
        assert names_of(made.read("broker.crt")) == names_of(before)
        assert made.read("ca.crt") == authority
        made.renew_certificate(["other.example.org"])
        assert names_of(made.read("broker.crt")) == [
            *("mosquitto", "localhost", "127.0.0.1", "other.example.org"),
        ]

    def test_it_outlives_a_year(self, made: Secrets) -> None:
        ends = expires_at(made.read("broker.crt"))
        assert ends > datetime.now(UTC) + timedelta(days=365)
        assert ends < expires_at(made.read("ca.crt"))


class TestCommands:
    def test_prepare_says_what_comes_next(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["prepare", "--site", "home", "--secrets", str(tmp_path / "secrets")]
        assert command.main(words) == 0
        said = capsys.readouterr().out
        assert "docker compose up" in said
        for content in files(Secrets(tmp_path / "secrets")).values():
            assert content.decode().strip() not in said
        assert command.main(words) == 1
        assert "stay as they are" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "words",
        [
            ("prepare",),
            ("prepare", "--site", "No Id"),
            ("prepare", "--site", "home", "--name", "no name"),
            ("site", "No Id"),
            ("shout",),
            ("owner", "a@example.org", "--password-file", "missing", "--site", "home"),
        ],
    )
    def test_what_cannot_be_meant_is_a_usage_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Secrets(tmp_path / "deploy" / "secrets").prepare(["cabin"], [])
        if words[:1] == ("prepare",):
            words = (*words, "--secrets", "fresh")
        assert command.main(words) == 2
        assert not (tmp_path / "fresh").exists()

    def test_a_service_that_does_not_answer_is_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Secrets(tmp_path / "deploy" / "secrets").prepare(["home"], [])
        (tmp_path / "pw").write_text("a long password\n")
        words = ["owner", "a@example.org", "--password-file", "pw", "--site", "home"]
        assert command.main([*words, "--cloud", "http://127.0.0.1:9"]) == 1
        assert "does not answer" in capsys.readouterr().err
