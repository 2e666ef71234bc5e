"""Data of a newer version is recognised before any part is started on it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from collar_sim.firmware.log.flash_file import FLASH_FILE, FLASH_VERSION
from gateway.store.store import MIGRATIONS
from pawmesh.errors import IncompatibleData, NoAccess
from pawmesh.house import House


def require_known(house: House) -> None:
    """See that this version knows what the gateway and the collars have written; quick.

    Of its database the cloud sees to that itself, at its start.

    Raises:
        IncompatibleData: A newer version wrote it.
        NoAccess: It cannot be read.
    """
    store = house.gateway / "gateway.db"
    if store.exists():
        require_gateway(_version(store), str(store))
    for flash in sorted(house.fleet.glob(f"*/{FLASH_FILE}")):
        require_flash(_version(flash), str(flash))


def require_gateway(version: int, what: str) -> None:
    """See that this version knows that version of a gateway's store."""
    known = len(list(MIGRATIONS.glob("[0-9]*.sql")))
    if version > known:
        raise newer(
            f"{what}: the store has version {version}, this Pawmesh knows up to {known}. It"
        )


def require_flash(version: int, what: str) -> None:
    """See that this version knows that version of the collars' flash."""
    if version > FLASH_VERSION:
        raise newer(
            f"{what}: the flash has version {version}, this Pawmesh knows up to {FLASH_VERSION}. It"
        )


def newer(what: str) -> IncompatibleData:
    """The error, with what to do about it."""
    return IncompatibleData(
        f"{what} was written by a newer one. Update Pawmesh, restore a backup that "
        "was made before the update (pawmesh restore), or choose another --data-dir"
    )


def _version(path: Path) -> int:
    try:
        with closing(sqlite3.connect(path, timeout=5)) as db:
            return int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise NoAccess(f"{path} cannot be read: {error}") from error
