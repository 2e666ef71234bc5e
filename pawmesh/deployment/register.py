"""Makes owners, sites and collars known to a deployment, over its own HTTP."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from pawmesh.deployment.folder import BROKER_PORT, Secrets, give
from pawmesh.deployment.logins import collars_login
from pawmesh.errors import PawmeshError
from pawmesh.house import require
from pawmesh.provision import enrol_collar, release_key, write_keys

TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Where a deployment answers, and the secrets that open it."""

    secrets: Secrets
    cloud_url: str
    gateway_url: str

    def add_owner(self, email: str, password: str, site: str) -> dict[str, str]:
        """An owner with a household, to whom the site belongs.

        Returns:
            The ids, by name.

        Raises:
            PawmeshError: The cloud refuses; its problem says why.
        """
        key = self.secrets.gateway_public_key(site)
        with self._cloud() as cloud:
            owner = require(cloud.post("/v1/owners", json={"email": email, "password": password}))
            body = {"name": "Home", "owner_id": owner["owner_id"]}
            home = require(cloud.post("/v1/households", json=body))["household_id"]
            registered = {"site_id": site, "gateway_public_key": key, "household_id": home}
            require(cloud.post("/v1/sites", json=registered))
        return {"owner_id": owner["owner_id"], "household_id": home, "site": site}

    def add_collar(
        self, site: str, pet: str, species: str, broker_host: str, folder: Path
    ) -> dict[str, Any]:
        """A collar for a pet of the site's home, who is made if there is none of that name or id.

        Args:
            site: Id of the group of collars it joins.
            pet: Name or id.
            species: Of a new pet.
            broker_host: What the collar calls the broker by; a name in its certificate.
            folder: For its keys, mode 0600.

        Returns:
            What a collar needs, as ``pawmesh collar add --json`` has it.

        Raises:
            PawmeshError: A service refuses, or several pets have the name.
        """
        with self._cloud() as cloud, self._gateway(site) as gateway:
            household = self._household(cloud, site)
            keys, pet_id = enrol_collar(cloud, gateway, site, household, pet, species)
            trusted = release_key(cloud)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_file = write_keys(folder, keys, trusted)
        for made in (folder, key_file):
            give(made, folder.parent)
        password_file = self.secrets.site(site) / "collars.password"
        return {
            "collar_id": keys.collar_id,
            "pet_id": pet_id,
            "site": site,
            "topic_prefix": f"pawmesh/v1/{site}/{keys.collar_id}",
            "key_file": str(key_file),
            "mqtt": {
                "host": broker_host,
                "port": BROKER_PORT,
                "username": collars_login(site),
                "password_file": str(password_file),
                "ca_file": str(self.secrets.path / "ca.crt"),
            },
        }

    @staticmethod
    def _household(cloud: httpx2.Client, site: str) -> str:
        for each in require(cloud.get("/v1/sites")):
            if each["site_id"] == site:
                return str(each["household_id"])
        raise PawmeshError(f"Nobody owns the site {site} yet: pawmesh deploy owner comes first")

    @contextmanager
    def _cloud(self) -> Generator[httpx2.Client]:
        token = self.secrets.read("operator.token").strip()
        with _client(self.cloud_url, token) as client:
            yield client

    @contextmanager
    def _gateway(self, site: str) -> Generator[httpx2.Client]:
        token = self.secrets.read(f"sites/{site}/gateway.token").strip()
        with _client(self.gateway_url, token) as client:
            yield client


def _client(url: str, token: str) -> httpx2.Client:
    headers = {"authorization": f"Bearer {token}"}
    return httpx2.Client(base_url=url, timeout=TIMEOUT_S, headers=headers, trust_env=False)
