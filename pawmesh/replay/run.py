"""One replay from file to report: check, enrol, play, and count in both stores."""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collar_sim.errors import SimulatorError
from collar_sim.firmware.link.link import Link
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.log.sealer import SealingKey
from collar_sim.replay.labels import parse_map, resolve, score
from collar_sim.replay.mapping import MotionMapping
from collar_sim.replay.player import Casting, Player, progress_of
from collar_sim.replay.source import MotionSource, Source
from collar_sim.replay.track import TrackMapping
from gateway.secret_file import write_private
from gateway.wire.session import BrokerUrl
from pawmesh.console import say
from pawmesh.errors import NoAccess
from pawmesh.house import SITE, House, NotRunning
from pawmesh.platform import Plan, running_platform
from pawmesh.provision import CollarKeys
from pawmesh.replay.folder import FACTS, choose_house, run_folder, sha256_of
from pawmesh.replay.platform import counted, enrol, give_grants, until_in_cloud
from pawmesh.replay.recording import Recorded, read

NVM_FINISHED = "finished"
BEFORE = timedelta(minutes=1)  # the pets wear their collars before the first sample
CAT = re.compile(r"(?<![a-z])cats?(?![a-z])")
SAID_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be replayed, and how."""

    path: Path
    mapping: MotionMapping | TrackMapping
    label_map: str = ""
    species: str | None = None
    speed: float = 0.0
    share: bool = False
    again: bool = False
    report: Path | None = None


async def run_replay(wish: Wish, data_dir: Path | None) -> dict[str, Any]:
    """Replay, and return the report.

    Raises:
        RecordingError: The recording cannot be replayed; nothing was enrolled or sent.
        SimulatorError: The replay did not come to its end; it can go on.
        PawmeshError: The platform did not work.
    """
    began_s = time.monotonic()
    given = parse_map(wish.label_map)
    say(f"Checking {wish.path} ...")
    recorded = await asyncio.to_thread(read, wish.path, wish.mapping)
    meant = resolve(recorded.words, given)
    for word in sorted(given.keys() - set(recorded.words)):
        say(f"  --label-map names {word!r}, which is no label of this recording")
    for notice in recorded.notices:
        say(f"  {notice}")
    house = choose_house(data_dir)
    digest = await asyncio.to_thread(sha256_of, wish.path)
    folder, keys = run_folder(
        house, f"{digest} {wish.mapping!r}", list(recorded.sources), again=wish.again
    )
    with Flash.open(folder) as flash:
        is_finished = flash.nvm(NVM_FINISHED) is not None
    if is_finished:
        say("This recording was replayed here before; --again plays it once more. Its report:")
        facts = json.loads((folder / FACTS).read_text())
    else:
        facts = await _play(wish, recorded, house, folder, keys)
        write_private(folder / FACTS, json.dumps(facts, indent=1))
        with Flash.open(folder) as flash:
            flash.commit({NVM_FINISHED: datetime.now(UTC).isoformat().encode()})
    with Flash.open(folder) as flash:
        progress = {animal: progress_of(flash, key.collar_id) for animal, key in keys.items()}
    tallies = {a: each.tally for a, each in progress.items() if each.tally}
    report = asdict_scores(score(tallies, meant)) | recorded.facts | facts
    report |= {
        "file": str(wish.path),
        "sha256": digest,
        "data_dir": str(house.data_dir.absolute()),
        "replayed_before": is_finished,
        "seconds": round(time.monotonic() - began_s, 1),
    }
    text = json.dumps(report, indent=1, default=str) + "\n"
    for target in filter(None, (wish.report, folder / "report.json")):
        _write(target, text)
    return report


def asdict_scores(scores: Any) -> dict[str, Any]:
    """The scores as the report has them."""
    return {name: getattr(scores, name) for name in scores.__struct_fields__}


async def _play(
    wish: Wish,
    recorded: Recorded,
    house: House,
    folder: Path,
    keys: dict[str, CollarKeys],
) -> dict[str, Any]:
    async with _platform(house) as (running, is_ours):
        species = wish.species or ("cat" if CAT.search(wish.path.stem.lower()) else "dog")
        since = recorded.first_at - BEFORE
        await asyncio.to_thread(enrol, house, running, keys, species, since)
        granted: set[tuple[str, str]] = set()
        if is_ours or wish.share:
            granted = await asyncio.to_thread(give_grants, house, running, keys, since)
        broker = BrokerUrl.parse(running["broker_url"])
        link = Link(broker, SITE)
        with Flash.open(folder) as flash:
            cast = [
                Casting(
                    animal,
                    source,
                    keys[animal].collar_id,
                    _sealing_key(keys[animal]),
                    recorded.slots[animal].described() if animal in recorded.slots else [],
                )
                for animal, source in recorded.sources.items()
            ]
            player = Player(flash, link, cast, wish.speed, _Teller(recorded.sources))
            try:
                await player.run()
            except* SimulatorError as errors:
                raise errors.exceptions[0] from None
        say("Waiting until all that is granted has reached the cloud ...")
        await asyncio.to_thread(until_in_cloud, house, running, keys, granted)
        facts = await asyncio.to_thread(counted, folder, running, keys, granted)
    return facts | {
        "windows": sum(s.windows for s in recorded.sources.values() if isinstance(s, MotionSource)),
        "transmissions": link.transmissions,
        "refused": link.refused,
        "refused_models": {
            slot: why for slots in recorded.slots.values() for slot, why in slots.refused.items()
        },
        "models": sorted(
            {p.ref for slots in recorded.slots.values() for p in slots.packages.values()}
        ),
        "animals": {
            animal: {
                "collar_id": keys[animal].collar_id,
                "pet_id": f"pet-{keys[animal].collar_id}",
                "steps": source.steps,
                "first_at": source.first_at.isoformat(),
                "last_at": source.last_at.isoformat(),
            }
            for animal, source in recorded.sources.items()
        },
    }


@asynccontextmanager
async def _platform(house: House) -> AsyncGenerator[tuple[dict[str, Any], bool]]:
    """Where the recording goes: the platform that runs on the folder, or one for this run."""
    try:
        running = house.running()
    except NotRunning:
        plan = Plan(house=house, port_base=0, dashboard=False)
        say(f"Pawmesh starts for this replay; its data is in {house.data_dir}")
        async with running_platform(plan, lambda part: say(f"  {part} ..."), say) as platform:
            house.note_running(platform.running(), None)
            yield dict(platform.running()), True
    else:
        say(f"Pawmesh runs on {house.data_dir}: the recording goes there")
        yield running, False


class _Teller:
    """Says now and then how far the replay is."""

    def __init__(self, sources: dict[str, Source]) -> None:
        self._total = sum(source.steps for source in sources.values())
        self._done: dict[str, int] = {}
        self._said_s = time.monotonic()

    def __call__(self, animal: str, steps: int) -> None:
        self._done[animal] = steps
        done = sum(self._done.values())
        if time.monotonic() - self._said_s >= SAID_EVERY_S or done == self._total:
            self._said_s = time.monotonic()
            say(f"  {done} of {self._total} minutes or positions ({done / self._total:.0%})")


def _sealing_key(keys: CollarKeys) -> SealingKey:
    return SealingKey(
        Ed25519PrivateKey.from_private_bytes(bytes.fromhex(keys.signing_key)),
        bytes.fromhex(keys.salt_secret),
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise NoAccess(f"{path}: {error.strerror}") from error
