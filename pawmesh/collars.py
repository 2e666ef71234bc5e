"""``pawmesh collar``: a device of one's own joins the home, or goes to another pet."""

from typing import Any

from cyclopts import App

from gateway.secret_file import write_private
from pawmesh.console import print_json, print_line
from pawmesh.errors import PawmeshError
from pawmesh.house import SITE, require
from pawmesh.options import NOTHING_SPECIAL, Common
from pawmesh.platform import site_login
from pawmesh.provision import add_collar, ensure_owner, pets_called

collar_app = App(name="collar", help="Collars: yours, and a stranger's own device.")


@collar_app.command(name="add")
def collar_add(*, pet: str, species: str = "dog", common: Common = NOTHING_SPECIAL) -> None:
    """Enrol a collar of your own make, and print how it connects.

    Args:
        pet: Name or id of the pet that wears it; a new name makes a new pet.
        species: Of a new pet: dog or cat.
        common: What every command takes.
    """
    house = common.house
    running = house.running()
    broker, username, password = site_login(house, running["broker_url"])
    with (
        house.operator_api(running["cloud_url"]) as cloud,
        house.gateway_api(running["gateway_url"]) as gateway,
    ):
        keys, key_file, pet_id = add_collar(house, cloud, gateway, pet, species)
    password_file = None
    if password is not None:
        password_file = house.data_dir / "collars" / "mqtt.password"
        write_private(password_file, password + "\n")
    mqtt: dict[str, Any] = {"host": broker.host, "port": broker.port, "username": username}
    if password_file is not None:
        mqtt["password_file"] = str(password_file.absolute())
    if broker.ca_file is not None:
        mqtt["ca_file"] = str(broker.ca_file)
    made: dict[str, Any] = {
        "collar_id": keys.collar_id,
        "pet_id": pet_id,
        "site": SITE,
        "topic_prefix": f"pawmesh/v1/{SITE}/{keys.collar_id}",
        "key_file": str(key_file.absolute()),
        "mqtt": mqtt,
    }
    if common.json:
        print_json(made)
        return
    print_line(f"{made['collar_id']} is on {pet} ({pet_id}). It publishes under")
    print_line(f"  {made['topic_prefix']}/...  at {broker.host}:{broker.port} as {username}")
    print_line(f"  password in {password_file}, its own keys in {key_file}")
    print_line("Next: docs/how-to/bring-your-own-collar.md")


@collar_app.command(name="move")
def collar_move(collar_id: str, *, pet: str, common: Common = NOTHING_SPECIAL) -> None:
    """Put a collar on another pet; each pet keeps its history.

    Args:
        collar_id: The collar.
        pet: Name or id of the pet that wears it from now on.
        common: What every command takes.
    """
    house = common.house
    running = house.running()
    with (
        house.operator_api(running["cloud_url"]) as cloud,
        house.gateway_api(running["gateway_url"]) as gateway,
    ):
        pets = pets_called(cloud, ensure_owner(house, cloud), pet)
        if len(pets) != 1:
            raise PawmeshError(f"{len(pets)} pets are called {pet}; see pawmesh status")
        body = {"pet_id": pets[0]}
        require(cloud.post(f"/v1/collars/{collar_id}/assign", json=body))
        require(gateway.post("/v1/registry/refresh"))
    if common.json:
        print_json({"collar_id": collar_id, "pet_id": pets[0]})
        return
    print_line(f"{collar_id} is now on {pet}")
