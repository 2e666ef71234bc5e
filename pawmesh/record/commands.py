"""``pawmesh record``: what went over the wire, kept in one file and given back."""

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from gateway.wire.errors import SessionLost
from gateway.wire.session import BrokerUrl
from pawmesh.console import print_json, print_line, say
from pawmesh.errors import PawmeshError, UsageError
from pawmesh.house import SITE
from pawmesh.options import NOTHING_SPECIAL, Common, Duration
from pawmesh.record.playback import play
from pawmesh.record.recorder import Recorder
from pawmesh.record.tape import Header, Tape, TapeWriter
from pawmesh.record.wearers import asking, enrol_wearers

MIB = 2**20

record_app = App(
    name="record",
    help="""Keep what goes over the wire, byte for byte, and give it back.

    For regression tests and reports of trouble: what was recorded at one place can be played into
    another gateway. Everything the collars said is in the file, so treat it as you would treat
    the pets' data.""",
)


@record_app.default
async def record_command(
    file: Path,
    *,
    duration: Duration = timedelta(minutes=10),
    max_mb: float = 256.0,
    with_secrets: Annotated[bool, Parameter(negative="")] = False,
    common: Common = NOTHING_SPECIAL,
) -> None:
    """Record all messages of the platform that runs on this data folder.

    Ends after its duration, at its size, or with Ctrl-C. Killed, it leaves a file that is good up
    to the last second.

    Args:
        file: The new file.
        duration: How long at most: 30s, 10m, 24h.
        max_mb: How large at most, in MiB.
        with_secrets: Include the collars' salt secrets, so that a gateway that plays it can share
            what is granted; the file is then readable by its owner only.
        common: What every command takes.
    """
    if max_mb <= 0 or duration <= timedelta(0):
        raise UsageError("--duration and --max-mb must be more than 0")
    house = common.house
    running = house.running()
    header = Header(site=SITE, started_at=datetime.now(UTC), with_secrets=with_secrets)
    writer = TapeWriter.create(file, header)
    broker = BrokerUrl.parse(running["broker_url"])
    recorder = Recorder(broker, writer, SITE, asking(house, running, with_secrets=with_secrets))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, recorder.stop)
    say(f"Recording to {file} for {duration}; Ctrl-C ends it")
    if with_secrets:
        say("The file holds the collars' secrets: keep it as you keep a key (mode 0600)")
    try:
        found = msgspec.to_builtins(await recorder.run(duration.total_seconds(), int(max_mb * MIB)))
    except SessionLost as error:
        raise PawmeshError(f"Nothing was recorded: {error}. See pawmesh status") from error
    found |= {"file": str(file), "with_secrets": with_secrets}
    if common.json:
        print_json(found)
    else:
        print_line(
            f"{found['messages']} messages of {found['collars']} collars in {found['seconds']:.0f} "
            f"s, {found['size_bytes'] / MIB:.2f} MiB in {file}"
        )


@record_app.command(name="play")
async def play_command(file: Path, *, speed: float = 0.0, common: Common = NOTHING_SPECIAL) -> int:
    """Give a recording to the gateway that runs on this data folder.

    Its collars are enrolled under the same names, each on a pet of its own, unless they are known.
    Exit code 0 means that the gateway acknowledged every collar's last message.

    Args:
        file: What pawmesh record wrote.
        speed: Recorded seconds a second; 0 for as fast as the gateway acknowledges.
        common: What every command takes.
    """
    if speed < 0:
        raise UsageError(f"--speed {speed:g}: 0 or more")
    tape = Tape(file)
    house = common.house
    running = house.running()
    if tape.header.site != SITE:
        raise PawmeshError(f"{file} is of site {tape.header.site!r}; here is {SITE!r}")
    if tape.end is None:
        say(f"{file} has no end: it was cut off after {tape.count} messages")
    enrolled = await asyncio.to_thread(enrol_wearers, house, running, tape)
    try:
        done = await play(tape, BrokerUrl.parse(running["broker_url"]), speed=speed)
    except SessionLost as error:
        raise PawmeshError(f"The broker went away: {error}. See pawmesh status") from error
    found = msgspec.to_builtins(done) | {"file": str(file), "enrolled": enrolled}
    if common.json:
        print_json(found)
    else:
        print_line(
            f"{done.published} messages of {done.collars} collars published in {done.seconds:.0f} "
            f"s; {len(enrolled)} collars were new here"
        )
        for collar_id, key in done.unacknowledged.items():
            print_line(f"  {collar_id}: message {key} is not acknowledged; see pawmesh status")
    return 1 if done.unacknowledged else 0
