"""Makes people, places and collars known: to the cloud, to the gateway, and to the simulator."""

import json
import random
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.secret_file import write_private
from gateway.sync import load_key
from pawmesh.errors import PawmeshError
from pawmesh.house import OWNER_EMAIL, SITE, House, require
from pawmesh.shards import WHOLE, Shard

HOME = (51.4779, -0.0015)  # latitude and longitude in degrees: Greenwich; any home will do
HOME_RADIUS_M = 60.0  # the yard of the simulated animals, and some
ENROL_AT_ONCE = 2_000
NAMES = (
    *("Luna", "Rex", "Bella", "Milo", "Nala", "Oskar", "Kira", "Balu", "Frida", "Simba"),
    *("Maya", "Bruno", "Lotte", "Felix", "Paula", "Rocky", "Mila", "Sam", "Ronja", "Leo"),
)
SEED_SPACE = 1_000_000  # animals of different fleet seeds do not meet


@dataclass(frozen=True)
class CollarKeys:
    """What one collar keeps to itself."""

    collar_id: str
    signing_key: str
    """Ed25519, raw, hex."""
    salt_secret: str
    """32 bytes, hex; shared with the gateway only."""

    @classmethod
    def make(cls, collar_id: str) -> "CollarKeys":
        """New ones."""
        key = Ed25519PrivateKey.generate()
        return cls(collar_id, key.private_bytes_raw().hex(), secrets.token_hex(32))

    @property
    def public_key(self) -> str:
        """What everyone may know, hex."""
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.signing_key))
        return key.public_key().public_bytes_raw().hex()


def ensure_owner(house: House, cloud: httpx2.Client) -> str:
    """The household of the owner that ``up`` makes at the first start; the site belongs to it."""
    sites = [each for each in require(cloud.get("/v1/sites")) if each["site_id"] == SITE]
    homes = sites or require(cloud.get("/v1/households"))  # other owners may have theirs
    if homes:
        household_id = str(homes[0]["household_id"])
    else:
        password = secrets.token_urlsafe(12)
        write_private(house.owner_password_file, password + "\n")
        owner = require(cloud.post("/v1/owners", json={"email": OWNER_EMAIL, "password": password}))
        body = {"name": "Home", "owner_id": owner["owner_id"]}
        household_id = str(require(cloud.post("/v1/households", json=body))["household_id"])
    key = load_key(house.gateway / "gateway.key").public_key().public_bytes_raw().hex()
    site = {"site_id": SITE, "gateway_public_key": key, "household_id": household_id}
    require(cloud.post("/v1/sites", json=site))
    return household_id


def ensure_home_zone(gateway: httpx2.Client) -> None:
    """A safe zone around the simulated home, unless the owner has drawn one."""
    if not require(gateway.get("/v1/zones")):
        set_home_zone(gateway, HOME)


def set_home_zone(gateway: httpx2.Client, home: tuple[float, float]) -> None:
    """A safe zone around a simulated home, in place of the one before."""
    zone = {"name": "Home", "lat_deg": home[0], "lon_deg": home[1], "radius_m": HOME_RADIUS_M}
    require(gateway.put("/v1/zones/home", json=zone))


def ensure_fleet(
    house: House,
    cloud: httpx2.Client,
    gateway: httpx2.Client,
    *,
    collars: int,
    since: datetime,
    seed: int,
    name: str = "fleet",
    escapes: dict[int, float] | None = None,
    harnessed: Collection[int] = (),
    home: tuple[float, float] = HOME,
    shard: Shard = WHOLE,
) -> Path:
    """The file of a simulated fleet with at least ``collars`` members, all enrolled.

    Args:
        house: Where the file is kept, mode 0600.
        cloud: Its API, as operator.
        gateway: Its API, as owner.
        collars: How many; a fleet that has more keeps them.
        since: When the pets began to wear them, before their first message.
        seed: Of the animals.
        name: Of the fleet and its file, and the beginning of each collar's id.
        escapes: Seconds of the live phase after which the member with this number runs away.
        harnessed: Numbers of the members that wear the unit on a harness, and not on a collar.
        home: Where they live: latitude and longitude in degrees.
        shard: The part of the fleet that the file is for; it has the same collars and animals
            as in the whole.
    """
    path = house.fleet / f"{shard.name(name)}.json"
    members: list[dict[str, Any]] = []
    if path.exists():
        members = json.loads(path.read_text())["collars"]
    numbers = shard.members(collars)[len(members) :]
    fresh = [CollarKeys.make(f"{name}-{number + 1:05d}") for number in numbers]
    trusted = {"release_key": release_key(cloud)}
    known = [each | trusted for each in members]
    if not fresh:
        if known != members:  # enrolled before models came over the air
            write_private(path, json.dumps({"collars": known}, indent=1) + "\n")
        return path
    members = known + [
        _member(keys, number, seed, home) | trusted
        for number, keys in zip(numbers, fresh, strict=True)
    ]
    for number, after_s in (escapes or {}).items():
        members[number]["escape_after_s"] = after_s
    for number in harnessed:
        members[number]["wear"] = "harness"
    for start in range(0, len(fresh), ENROL_AT_ONCE):
        some = fresh[start : start + ENROL_AT_ONCE]
        pets = [
            {
                "name": _pet_name(number),
                "species": "dog",
                "pet_id": f"pet-{keys.collar_id}",
                "collar_id": keys.collar_id,
                "public_key": keys.public_key,
                "assigned_at": since.isoformat(),
            }
            for number, keys in zip(numbers[start:], some, strict=False)
        ]
        require(cloud.post("/v1/enrol", json={"site_id": SITE, "pets": pets}))
    share_secrets(gateway, fresh)
    write_private(path, json.dumps({"collars": members}, indent=1) + "\n")
    return path


def release_key(cloud: httpx2.Client) -> str:
    """The public key that a collar believes new models by, hex."""
    return str(require(cloud.get("/v1/release-key"))["public_key"])


def share_secrets(gateway: httpx2.Client, keys: list[CollarKeys]) -> None:
    """Let the gateway open the collars' salts, and see them at once."""
    for start in range(0, len(keys), ENROL_AT_ONCE):
        some = {each.collar_id: each.salt_secret for each in keys[start : start + ENROL_AT_ONCE]}
        require(gateway.put("/v1/secrets", json=some))
    require(gateway.post("/v1/registry/refresh"))


def add_collar(
    house: House, cloud: httpx2.Client, gateway: httpx2.Client, pet: str, species: str
) -> tuple[CollarKeys, Path, str]:
    """A collar for a pet of the home, who is made if there is none of that name or id.

    Returns:
        Its keys, the file that holds them (mode 0600), and the pet's id.
    """
    household_id = ensure_owner(house, cloud)
    keys, pet_id = enrol_collar(cloud, gateway, SITE, household_id, pet, species)
    folder = house.data_dir / "collars"
    folder.mkdir(mode=0o700, exist_ok=True)
    return keys, write_keys(folder, keys, release_key(cloud)), pet_id


def enrol_collar(
    cloud: httpx2.Client,
    gateway: httpx2.Client,
    site: str,
    household_id: str,
    pet: str,
    species: str,
) -> tuple[CollarKeys, str]:
    """Enrol a collar of a site; its keys, and the id of the pet that wears it.

    Raises:
        PawmeshError: A service refuses, or several pets have the name.
    """
    matching = pets_called(cloud, household_id, pet)
    if len(matching) > 1:
        ids = ", ".join(matching)
        raise PawmeshError(f"Several pets are called {pet}: name one by its id ({ids})")
    if matching:
        pet_id = matching[0]
    else:
        body = {"name": pet, "species": species, "household_id": household_id}
        pet_id = str(require(cloud.post("/v1/pets", json=body))["pet_id"])
    keys = CollarKeys.make(f"collar-{secrets.token_hex(4)}")
    body = {
        "pet_id": pet_id,
        "collar_id": keys.collar_id,
        "site_id": site,
        "public_key": keys.public_key,
    }
    require(cloud.post("/v1/collars", json=body))
    share_secrets(gateway, [keys])
    return keys, pet_id


def write_keys(folder: Path, keys: CollarKeys, release_key: str) -> Path:
    """The file that goes into a collar: its keys, and the one it believes new models by."""
    path = folder / f"{keys.collar_id}.json"
    write_private(path, json.dumps(asdict(keys) | {"release_key": release_key}, indent=1) + "\n")
    return path


def pets_called(cloud: httpx2.Client, household_id: str, pet: str) -> list[str]:
    """Ids of the home's pets of that name or id."""
    return [
        str(each["pet_id"])
        for each in require(cloud.get("/v1/pets"))
        if pet in (each["pet_id"], each["name"]) and each["household_id"] == household_id
    ]


def sign_in(house: House, url: str) -> httpx2.Client:
    """The cloud's API, as the owner that ``up`` made."""
    body = {"email": OWNER_EMAIL, "password": house.owner_password_file.read_text().strip()}
    token = require(httpx2.post(f"{url}/v1/session", json=body, timeout=60))["token"]
    return httpx2.Client(base_url=url, timeout=60, headers={"authorization": f"Bearer {token}"})


def _member(keys: CollarKeys, number: int, seed: int, home: tuple[float, float]) -> dict[str, Any]:
    around = random.Random(f"home-{seed}-{number}")  # a bed, a basket: a few metres apart
    return {
        **asdict(keys),
        "animal_seed": seed * SEED_SPACE + number,
        "lat_deg": home[0] + around.uniform(-3e-5, 3e-5),
        "lon_deg": home[1] + around.uniform(-3e-5, 3e-5),
    }


def _pet_name(number: int) -> str:
    again, index = divmod(number, len(NAMES))
    return NAMES[index] + (f" {again + 1}" if again else "")
