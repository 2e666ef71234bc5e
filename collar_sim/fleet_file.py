"""Who is in a fleet: its collars, their keys and their animals, from one JSON file (mode 0600).

``{"collars": [{"collar_id", "signing_key", "salt_secret", "animal_seed", "lat_deg", "lon_deg"}]}``;
optional per collar: ``scenario``, ``incident_after_s`` (of the live phase; ``escape_after_s`` alone
means the scenario ``escape`` as well), ``faults`` (what breaks, and when: see
`collar_sim.faults`), ``models`` (a folder of packages of its own), ``wear``
(``collar`` or ``harness``), ``release_key`` (whose models it believes: Ed25519 public key, hex;
without it, it takes none over the air). An entry that is wrong is refused with a reason, and the
others run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta, Struct

from collar_sim.animal import Scenario, Wear
from collar_sim.errors import CollarRefused, FleetFileError
from collar_sim.faults import Fault
from collar_sim.firmware.log.sealer import SealingKey
from gateway.wire.scalars import Id

Hex32 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Member(Struct, frozen=True, kw_only=True):
    """One collar of the file."""

    collar_id: Id
    signing_key: Hex32
    """Ed25519 private key, raw."""
    salt_secret: Hex32
    animal_seed: Annotated[int, Meta(ge=0, le=2**53)]
    lat_deg: Annotated[float, Meta(ge=-85, le=85)]
    """Where its home is; a neighbourhood is a plane, which reaches neither pole nor date line."""
    lon_deg: Annotated[float, Meta(ge=-179.9, le=179.9)]
    scenario: Scenario | None = None
    """None: the fleet's."""
    incident_after_s: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    """Seconds of the live phase until what the scenario tells of happens; None: 60."""
    escape_after_s: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    """Seconds of the live phase until it leaves; alone it means the scenario ``escape``."""
    faults: list[Fault] = []
    """What breaks, and when."""
    models: str | None = None
    wear: Wear = Wear.COLLAR
    """Where the unit is worn; what ships knows the collar only."""

    release_key: Hex32 | None = None
    """Ed25519 public key, raw: whose releases it believes. None: nobody's."""

    def __repr__(self) -> str:
        return f"Member({self.collar_id})"  # never its keys

    def sealing_key(self) -> SealingKey:
        """Its secrets, ready to use."""
        return SealingKey(
            Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.signing_key)),
            bytes.fromhex(self.salt_secret),
        )

    def believed_key(self) -> bytes | None:
        """The public key whose releases it believes."""
        return None if self.release_key is None else bytes.fromhex(self.release_key)


@dataclass(frozen=True)
class FleetFile:
    """The members that can run, and why the others cannot."""

    members: list[Member]
    refused: dict[str, str]


def read_fleet(path: Path) -> FleetFile:
    """The fleet in a file.

    Raises:
        FleetFileError: It cannot be read, or holds no list of collars.
    """
    try:
        content = msgspec.json.decode(path.read_bytes())
        entries = content["collars"]
    except OSError as error:
        raise FleetFileError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, TypeError, KeyError, UnicodeDecodeError, RecursionError) as error:
        raise FleetFileError(f'{path} is no {{"collars": [..]}}: {error!r}') from error
    if not isinstance(entries, list):
        raise FleetFileError(f"{path}: collars is no list")
    members: dict[str, Member] = {}
    refused: dict[str, str] = {}
    for index, entry in enumerate(entries):
        try:
            member = _member(entry)
            if member.collar_id in members:
                raise CollarRefused(f"{member.collar_id} is listed twice")
            members[member.collar_id] = member
        except CollarRefused as error:
            refused[_name(index, entry)] = str(error)
    return FleetFile(list(members.values()), refused)


def _member(entry: Any) -> Member:
    try:
        return msgspec.convert(entry, Member)
    except msgspec.ValidationError as error:
        raise CollarRefused(str(error)) from None


def _name(index: int, entry: Any) -> str:
    collar_id = entry.get("collar_id") if isinstance(entry, dict) else None
    return str(collar_id)[:32] if collar_id else f"#{index}"
