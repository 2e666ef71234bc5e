"""Where a replay keeps its collars' keys and flash: the same place for the same replay."""

import hashlib
import json
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from gateway.secret_file import write_private
from pawmesh.console import say
from pawmesh.errors import NoAccess
from pawmesh.house import House, NotRunning, default_data_dir
from pawmesh.provision import CollarKeys

FACTS = "facts.json"  # a finished replay's, for its report


def choose_house(data_dir: Path | None) -> House:
    """The data folder to replay into: as told, or where Pawmesh runs, or a new one."""
    if data_dir is None:
        usual = House(default_data_dir())
        with suppress(NotRunning):
            usual.running()
            return usual
        folder = Path(tempfile.mkdtemp(prefix="pawmesh-replay-"))
        say(f"The replay's data is in {folder}; give it as --data-dir to go on there")
        return House(folder)
    house = House(data_dir)
    house.prepare()
    return house


def run_folder(
    house: House, what: str, animals: list[str], *, again: bool
) -> tuple[Path, dict[str, CollarKeys]]:
    """Where this replay keeps its flash, and its collars' keys; the same ones each time.

    Args:
        house: The data folder.
        what: Tells replays apart. Another file, and other columns, units or rates make other
            messages, and so another replay with other collars.
        animals: Each has a collar.
        again: With other collars than every finished replay of the same.
    """
    generation = 1
    while True:
        seed = f"{what} {generation}"
        run_id = hashlib.blake2b(seed.encode(), digest_size=6).hexdigest()
        folder = house.data_dir / "replay" / run_id
        if not (again and (folder / FACTS).exists()):
            break
        generation += 1
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / "keys.json"
        if path.exists():
            held = {name: CollarKeys(**each) for name, each in json.loads(path.read_text()).items()}
        else:
            held = {animal: CollarKeys.make(_collar_id(run_id, animal)) for animal in animals}
            text = json.dumps({name: asdict(each) for name, each in held.items()}, indent=1)
            write_private(path, text + "\n")
    except OSError as error:
        raise NoAccess(f"{folder}: {error.strerror}") from error
    return folder, held


def _collar_id(run_id: str, animal: str) -> str:
    return "replay-" + hashlib.blake2b(f"{run_id} {animal}".encode(), digest_size=4).hexdigest()


def sha256_of(path: Path) -> str:
    """The digest of a file of any size, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
