"""``pawmesh backup`` and ``pawmesh restore``."""

import time
from dataclasses import asdict
from pathlib import Path

from pawmesh.backup.create import back_up
from pawmesh.backup.restore import restore
from pawmesh.console import print_json, print_line, say
from pawmesh.errors import PawmeshError
from pawmesh.options import NOTHING_SPECIAL, Common, require_usable


def backup_command(
    file: Path,
    *,
    with_truth: bool = False,
    database: str | None = None,
    common: Common = NOTHING_SPECIAL,
) -> None:
    """Save the whole home in one file, while Pawmesh runs or when it is stopped.

    The file holds every message, grant and token, and all keys and passwords: keep it as you keep
    those. Only you can read it (mode 0600). It appears under its name when it is whole.

    Examples:
      pawmesh backup ~/pawmesh.backup
      pawmesh backup /mnt/stick/monday.backup --data-dir /srv/pawmesh

    Args:
        file: Where to; an older backup of that name is replaced.
        with_truth: Also what the simulated animals really did, which only benches read.
        database: The PostgreSQL of yours that Pawmesh was started with, when it does not run.
        common: What every command takes.
    """
    require_usable(None, database, None)
    house = common.house
    say(f"Backing up {house.data_dir}")
    began = time.monotonic()
    try:
        made = back_up(house, file, say, with_truth=with_truth, database_url=database)
    except KeyboardInterrupt:
        raise PawmeshError("Interrupted: no backup was made") from None
    seconds = round(time.monotonic() - began, 1)
    if common.json:
        print_json({**asdict(made), "seconds": seconds, "secret": True})
        return
    print_line(f"{made.file}: {made.size / 1e6:.1f} MB, {made.members} files, in {seconds} s")
    print_line("It holds keys and passwords: whoever can read it is the owner of this home.")


def restore_command(
    file: Path,
    *,
    replace: bool = False,
    database: str | None = None,
    common: Common = NOTHING_SPECIAL,
) -> None:
    """Make the home again from a backup, into a data folder that is empty or not there.

    The file is checked to its last byte before anything is put in place. Restore only files of
    your own making: what is in them is believed.

    Examples:
      pawmesh restore ~/pawmesh.backup
      pawmesh restore ~/pawmesh.backup --replace

    Args:
        file: As ``pawmesh backup`` wrote it.
        replace: Move a data folder that is in the place aside; nothing is deleted.
        database: An empty PostgreSQL database of yours, in place of the embedded one.
        common: What every command takes.
    """
    require_usable(None, database, None)
    house = common.house
    say(f"Restoring {house.data_dir}")
    began = time.monotonic()
    try:
        done = restore(file, house, say, replace=replace, database_url=database)
    except KeyboardInterrupt:
        raise PawmeshError("Interrupted: nothing was restored") from None
    seconds = round(time.monotonic() - began, 1)
    if common.json:
        print_json({**asdict(done), "seconds": seconds})
        return
    print_line(f"{done.data_dir} is as it was on {done.created_at:%Y-%m-%d at %H:%M:%S} UTC.")
    if done.moved_aside is not None:
        print_line(f"What was there is now in {done.moved_aside}")
    print_line("Grants withdrawn since then count again: see what is shared.")
    print_line(f"Start: {house.start}{' --database URL' if database else ''}")
