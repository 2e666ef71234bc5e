"""The data folder of an earlier release, made again as that release left it."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pawmesh.backup import database
from pawmesh.embedded.ports import free_ports
from pawmesh.embedded.postgres import Postgres

HOUSE_0_1 = Path(__file__).parents[1] / "data" / "house-0.1"
STORES = ("gateway/gateway.db", "fleet/fleet/flash.sqlite", "fleet/fleet/published.sqlite")
OPEN_FILES = ("ports.json", *STORES[1:])
"""What 0.1 left readable for everyone, within closed folders but for the first."""
CLOSED_FOLDERS = ("cloud", "collars", "fleet", "fleet/fleet", "gateway")


def make_old_house(data_dir: Path, *, asleep: timedelta) -> None:
    """Write the home of 0.1 to a folder.

    Args:
        data_dir: Where.
        asleep: How long ago its collars' present was. Their flash says January 2025; catching up
            with the years since is not what is to be tested.
    """
    shutil.copytree(HOUSE_0_1 / "data", data_dir)
    for path in data_dir.rglob("*"):
        if path.is_file():
            name = path.relative_to(data_dir).as_posix()
            path.chmod(0o644 if name in OPEN_FILES else 0o600)
    for name in CLOSED_FOLDERS:
        (data_dir / name).chmod(0o700)
    for name in STORES:
        with closing(sqlite3.connect(data_dir / name)) as db:
            assert db.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    until = (datetime.now(UTC) - asleep).replace(second=0, microsecond=0)
    with closing(sqlite3.connect(data_dir / STORES[1])) as flash, flash:
        flash.execute(
            "UPDATE nvm SET value = ? WHERE name = 'until'", (until.isoformat().encode(),)
        )
    with Postgres(data_dir / "database", free_ports(1)[0]).running() as url:
        database.load(url, HOUSE_0_1 / "cloud.dump")
