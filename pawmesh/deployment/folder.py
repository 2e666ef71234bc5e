"""The folder of secrets that ``compose.yaml`` mounts file by file: made once, then added to."""

import os
import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.secret_file import write_private
from gateway.sync import load_key
from gateway.wire.topics import ID_PATTERN
from pawmesh.deployment import logins
from pawmesh.deployment.certificates import Certified, certify_broker, make_authority, names_of
from pawmesh.errors import NoAccess, PawmeshError

BROKER_HOST = "mosquitto"  # the services' names in compose.yaml
DATABASE_HOST = "database"
BROKER_PORT = 8883
ALWAYS_CALLED = (BROKER_HOST, "localhost", "127.0.0.1")

# Who reads what inside the containers; compose.yaml has the same numbers.
BROKER_UID, DATABASE_UID, SERVICES_UID = 1883, 70, 10_001
READERS = {
    "broker.crt": BROKER_UID,
    "broker.key": BROKER_UID,
    "broker.passwords": BROKER_UID,
    "broker.acl": BROKER_UID,
    "broker.health": BROKER_UID,
    "database.password": DATABASE_UID,
    "cloud_database_url": SERVICES_UID,
    "operator.token": SERVICES_UID,
    "gateway_broker_url": SERVICES_UID,
    "gateway.key": SERVICES_UID,
    "gateway.token": SERVICES_UID,
}
PUBLIC = frozenset({"ca.crt"})  # several containers read it, and it is no secret


class AlreadyPrepared(PawmeshError):
    """The folder holds secrets already, and making them again would lock everyone out."""


class NotPrepared(PawmeshError):
    """The folder holds no secrets. Make them: ``pawmesh deploy prepare``."""


@dataclass(frozen=True)
class Secrets:
    """A folder of secrets; every file has mode 0600 and, made as root, belongs to its reader."""

    path: Path

    def prepare(self, sites: Sequence[str], names: Sequence[str]) -> None:
        """Make all secrets, whole or not at all.

        Args:
            sites: Ids of the groups of collars, each with a gateway of its own.
            names: Host names and addresses that collars reach the broker by.

        Raises:
            AlreadyPrepared: There is something in the folder.
            NoAccess: It cannot be written.
            ValueError: An id or a name is none.
        """
        for site in sites:
            require_id(site)
        if self.path.exists() and any(self.path.iterdir()):
            raise AlreadyPrepared(f"{self.path} holds secrets already; they stay as they are")
        fresh = Secrets(self.path.with_name(f"{self.path.name}.new"))
        try:
            shutil.rmtree(fresh.path, ignore_errors=True)
            fresh.path.mkdir(mode=0o700, parents=True)
            fresh._write_shared(names)
            for site in sites:
                fresh.add_site(site)
            fresh._give(fresh.path)
            fresh.path.replace(self.path)
        except OSError as error:
            raise NoAccess(f"{self.path} cannot be written: {error.strerror}") from error
        finally:
            shutil.rmtree(fresh.path, ignore_errors=True)

    def add_site(self, site: str) -> None:
        """Make the logins and keys of one more site.

        Raises:
            AlreadyPrepared: It has them.
            NotPrepared: The folder holds no secrets.
            ValueError: The id is none.
        """
        require_id(site)
        self.require("broker.passwords")
        folder = self.site(site)
        if folder.exists():
            raise AlreadyPrepared(f"{folder} holds this site's secrets already")
        gateway, collars = logins.make_password(), logins.make_password()
        lines = self.read("broker.passwords")
        lines += logins.password_line(logins.gateway_login(site), gateway)
        lines += logins.password_line(logins.collars_login(site), collars)
        user = logins.gateway_login(site)
        for each in (folder.parent, folder):
            each.mkdir(mode=0o700, exist_ok=True)
            self._give(each)
        url = f"mqtts://{user}:{gateway}@{BROKER_HOST}:{BROKER_PORT}"
        self._write(f"sites/{site}/gateway_broker_url", url + "\n")
        self._write(f"sites/{site}/gateway.token", secrets.token_urlsafe(32) + "\n")
        self._write(f"sites/{site}/collars.password", collars + "\n")
        load_key(folder / "gateway.key")
        self._give(folder / "gateway.key")
        self._write("broker.passwords", lines)
        self.refresh_rules()

    def refresh_rules(self) -> None:
        """Write the access rules for the sites there are and the messages this version knows."""
        self.require("broker.passwords")
        self._write("broker.acl", logins.access_rules(self.sites))

    def renew_certificate(self, names: Sequence[str] = ()) -> Certified:
        """Give the broker a new certificate, for the names it has or for these."""
        self.require("ca.key")
        authority = Certified(self.read("ca.key"), self.read("ca.crt"))
        wanted = [*ALWAYS_CALLED, *names] if names else names_of(self.read("broker.crt"))
        made = certify_broker(authority, list(dict.fromkeys(wanted)))
        self._write("broker.key", made.key)
        self._write("broker.crt", made.certificate)
        return made

    @property
    def sites(self) -> list[str]:
        """Ids of the sites that have secrets."""
        return sorted(each.name for each in self.path.glob("sites/*") if each.is_dir())

    def site(self, site: str) -> Path:
        """The folder of one site."""
        return self.path / "sites" / site

    def gateway_public_key(self, site: str) -> str:
        """What the cloud checks the gateway's signature with, hex.

        Raises:
            NotPrepared: There is no such site.
        """
        path = self.require(f"sites/{site}/gateway.key")
        return load_key(path).public_key().public_bytes_raw().hex()

    def read(self, name: str) -> str:
        """A file's text.

        Raises:
            NotPrepared: There is none.
            NoAccess: It may not be read.
        """
        try:
            return self.require(name).read_text()
        except OSError as error:
            raise NoAccess(
                f"{self.path / name} cannot be read: {error.strerror}. "
                "Ask in the operator's container, or as root"
            ) from error

    def require(self, name: str) -> Path:
        """A file that has to be there.

        Raises:
            NotPrepared: It is not.
        """
        path = self.path / name
        if not path.exists():
            raise NotPrepared(f"{path} is missing. Make it: pawmesh deploy prepare, or deploy site")
        return path

    def _write_shared(self, names: Sequence[str]) -> None:
        authority = make_authority()
        self._write("ca.key", authority.key)
        self._write("ca.crt", authority.certificate)
        broker = certify_broker(authority, list(dict.fromkeys([*ALWAYS_CALLED, *names])))
        self._write("broker.key", broker.key)
        self._write("broker.crt", broker.certificate)
        health, database = logins.make_password(), logins.make_password()
        self._write("broker.health", health + "\n")
        self._write("broker.passwords", logins.password_line(logins.HEALTH, health))
        self._write("database.password", database + "\n")
        url = f"postgresql://pawmesh:{database}@{DATABASE_HOST}:5432/pawmesh"
        self._write("cloud_database_url", url + "\n")
        self._write("operator.token", secrets.token_urlsafe(32) + "\n")

    def _write(self, name: str, text: str) -> None:
        path = self.path / name
        write_private(path, text)
        if path.name in PUBLIC:
            path.chmod(0o644)
        self._give(path)

    def _give(self, path: Path) -> None:
        give(path, self.path.parent, READERS.get(path.name))


def give(path: Path, like: Path, reader: int | None = None) -> None:
    """As root: to the user of the container that reads it, else to whom a folder belongs."""
    if os.geteuid() == 0:
        owner = like.stat()
        uid, gid = (owner.st_uid, owner.st_gid) if reader is None else (reader, reader)
        os.chown(path, uid, gid)


def require_id(text: str) -> None:
    """Refuse what cannot stand in a topic.

    Raises:
        ValueError: It is no id.
    """
    if not re.fullmatch(ID_PATTERN, text):
        raise ValueError(f"{text!r} is no id: 1 to 32 of a-z 0-9 -, and no - in front")
