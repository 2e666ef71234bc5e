"""``pawmesh owner``: the people whose pets wear the collars."""

from pathlib import Path

from cyclopts import App

from pawmesh.console import print_json, print_line
from pawmesh.errors import UsageError
from pawmesh.house import require
from pawmesh.options import NOTHING_SPECIAL, Common

owner_app = App(name="owner", help="The people whose pets wear the collars.")


@owner_app.command(name="create")
def owner_create(email: str, *, password_file: Path, common: Common = NOTHING_SPECIAL) -> None:
    """Create an owner, who can then sign in.

    Args:
        email: The owner's address, to sign in with.
        password_file: Holds the password, of at least 8 characters, in its first line.
        common: What every command takes.
    """
    house = common.house
    try:
        password = password_file.read_text("utf-8").splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise UsageError(f"--password-file {password_file} holds no password: {error}") from error
    with house.operator_api(house.running()["cloud_url"]) as cloud:
        made = require(cloud.post("/v1/owners", json={"email": email, "password": password}))
        body = {"name": "Home", "owner_id": made["owner_id"]}
        made |= {"household_id": require(cloud.post("/v1/households", json=body))["household_id"]}
    if common.json:
        print_json(made)
    else:
        print_line(f"{email} can sign in (owner {made['owner_id']})")
