"""Many collars in one process: from some time in the past to the present, then along with it.

In catch-up, minutes follow each other as fast as they can be made, sent and acknowledged: a flash
that is nearly full makes the fleet wait, so that history loses nothing. Once the present is met,
the next minute is made shortly before it begins, and each message is written when it is known.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from collar_sim.assembly import NVM_CARRIED, NVM_UNTIL, Assembly
from collar_sim.duty import PowerChange
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.log.flash import Flash, FlashLog
from collar_sim.firmware.minute import MINUTE, Draft
from collar_sim.production import FleetMinute
from collar_sim.report import Report
from collar_sim.stages import Stage
from collar_sim.tally import Pulse, Tally
from collar_sim.truth import Truth
from collar_sim.whereabouts import Move

log: structlog.stdlib.BoundLogger = structlog.get_logger()

TICK_S = 1.0  # wall time between looks at acknowledgements, when there is nothing to write
RELEASE_SLICE = 200  # messages written between two chances for the connections, about 10 ms
SPREAD_S = 10.0  # epochs of a live fleet leave spread over this, not in chorus
ROOM_POLL_S = 0.02
JUST_BEFORE = timedelta(microseconds=1)
STUCK_S = 30.0  # a collar that nobody acknowledges for so long, while others are, holds no one up
STUCK_BEHIND_S = 10.0
SETTLE_S = 30.0  # for the last acknowledgements after a run that ends by its duration
HURRIED_S = 8.0  # ditto when told to stop: less than the patience of who stops us
LEAVE_S, LEAVE_EACH_S = 10.0, 0.004  # to say goodbye; each costs a millisecond or two
PULSE_S = 1.0
LONG_CATCH_UP_S = 120.0  # worth a word: who simulates thousands seldom wants their past


class Fleet:
    """Runs an assembly."""

    def __init__(self, parts: Assembly, flash: Flash, truth: Truth | None = None) -> None:
        """Of booted collars and the flash that they were booted from."""
        self._parts = parts
        self._flash = flash
        self._truth = truth
        parts.production.keeps_truth = truth is not None
        self.on_pulse: Callable[[Pulse], None] | None = None
        """Told each second how things stand."""
        self._watch = parts.production.watch
        self._tally = Tally(parts, flash, self._watch)
        self._collars = {wearer.collar.collar_id: wearer.collar for wearer in parts.wearers}
        self._radios = {wearer.collar.collar_id: wearer.radio for wearer in parts.wearers}
        self._pending: deque[tuple[Draft | PowerChange | Move, Collar]] = deque()
        self._minutes: deque[FleetMinute] = deque()
        """Produced, and not yet over."""
        self._until = parts.until
        self._due = parts.until
        """Up to here messages are being released; `_until` follows when they are committed."""
        self._produced_until = parts.until
        self._stop = asyncio.Event()
        self._is_live = False
        self._is_ending = False

    def stop(self) -> None:
        """End in good order: seal, publish ``offline``, return."""
        self._stop.set()

    async def run(self, duration_s: float | None = None) -> Report:
        """Run until stopped, or for so many seconds of wall time after the present is met."""
        uplinks = self._parts.uplinks.values()
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(uplink.run(), name=f"uplink-{collar_id}")
                for collar_id, uplink in self._parts.uplinks.items()
            ]
            helping = [
                tasks.create_task(self._parts.installation.run(), name="installation"),
                tasks.create_task(self._pulse(), name="pulse"),
            ]
            try:
                minute = await self._catch_up()
                if not self._stop.is_set():
                    await self._live(minute, duration_s)
                self._is_ending = True
                await self._release(self._due)  # what the end of the live phase interrupted
                self._until = max(self._until, self._due)
                await self._seal()
                self._commit(self._until)
                await self._settle(HURRIED_S if self._stop.is_set() else SETTLE_S)
                for uplink in uplinks:
                    uplink.leave()
                if running:
                    await asyncio.wait(running, timeout=LEAVE_S + LEAVE_EACH_S * len(running))
            finally:
                for task in (*running, *helping):
                    task.cancel()
                if self._truth is not None:
                    self._truth.flush()
        self._commit(self._until)
        return self.report()

    def report(self) -> Report:
        """Where things stand."""
        return self._tally.report(self._until, is_live=self._is_live)

    async def _pulse(self) -> None:
        while self.on_pulse is not None:
            self.on_pulse(self._tally.pulse(self._until, is_live=self._is_live))
            await asyncio.sleep(PULSE_S)

    async def _catch_up(self) -> datetime:
        """Simulate the past; returns the minute in which the present lies."""
        minute = first = self._until.replace(second=0, microsecond=0)
        began_s = time.monotonic()
        while self._parts.clock.now() >= minute + MINUTE and not self._stop.is_set():
            made = await asyncio.to_thread(self._parts.production.minute, minute)
            await self._room()
            self._take(made)
            await self._release(made.end_at)
            self._commit(made.end_at)
            minute = made.end_at
            if minute - first == MINUTE:
                self._estimate(minute, time.monotonic() - began_s)
        return minute

    def _estimate(self, minute: datetime, minute_took_s: float) -> None:
        """Say how long the past will take, where that is long."""
        rest_s = (self._parts.clock.now() - minute) / MINUTE * minute_took_s
        if rest_s > LONG_CATCH_UP_S:
            log.warning(
                "history.long",
                collars=len(self._collars),
                minutes=int((self._parts.clock.now() - minute) / MINUTE),
                takes=str(timedelta(seconds=round(rest_s))),
                advice="history is for small fleets: --history 0, or fewer collars",
            )

    async def _live(self, minute: datetime, duration_s: float | None) -> None:
        live_at = self._parts.clock.now().replace(microsecond=0)
        for wearer in self._parts.wearers:
            wearer.go_live(live_at)
        self._is_live = True
        if self._truth is not None:
            self._truth.flush()  # the past is complete: whoever waits for it need not wait for us
        log.info("fleet.live", collars=len(self._collars), at=live_at.isoformat())
        async with asyncio.TaskGroup() as tasks:
            working = [
                tasks.create_task(self._produce(minute), name="produce"),
                tasks.create_task(self._keep_step(), name="keep-step"),
            ]
            with suppress(TimeoutError):
                async with asyncio.timeout(duration_s):
                    await self._stop.wait()
            for task in working:
                task.cancel()

    async def _produce(self, minute: datetime) -> None:
        """Make each minute shortly before it begins."""
        clock = self._parts.clock
        while True:
            began_at = clock.now()
            self._take(await asyncio.to_thread(self._parts.production.minute, minute))
            took = clock.now() - began_at
            minute += MINUTE
            lead = min(MINUTE, timedelta(seconds=2.0 * clock.speed) + 1.5 * took)
            await clock.until(minute - lead)

    async def _keep_step(self) -> None:
        """Write each message when it is due."""
        clock = self._parts.clock
        while True:
            self._due = until = max(self._until, min(clock.now(), self._produced_until))
            await self._release(until)
            self._commit(until)
            self._tally.pace.reached(until)
            next_at = until + timedelta(seconds=TICK_S * clock.speed)
            if self._pending:
                next_at = min(next_at, self._pending[0][0].release_at)
            if next_at <= clock.now():  # late, or production is: do not spin
                await asyncio.sleep(ROOM_POLL_S)
            await clock.until(next_at)

    def _take(self, made: FleetMinute) -> None:
        self._pending.extend(made.drafts)
        self._minutes.append(made)
        self._produced_until = made.end_at

    async def _release(self, until: datetime) -> None:
        while self._pending and self._pending[0][0].release_at <= until:
            with self._watch.timing(Stage.WRITING):
                self._write_slice(until)
            self._turn_on_and_off(until)
            await asyncio.sleep(0)

    def _write_slice(self, until: datetime) -> None:
        for _ in range(RELEASE_SLICE):
            if not self._pending or self._pending[0][0].release_at > until:
                return
            draft, collar = self._pending[0]
            if isinstance(draft, PowerChange):
                return
            self._pending.popleft()
            if isinstance(draft, Move):
                self._move(collar, draft)
                continue
            try:
                collar.say(draft)
            except Exception as error:  # one collar's trouble is not the fleet's
                self._parts.production.failed[collar.collar_id] = repr(error)
                log.exception("collar.failed", collar_id=collar.collar_id)

    def _move(self, collar: Collar, move: Move) -> None:
        if (radio := self._radios[collar.collar_id]) is not None:
            radio.is_home = move.is_home

    def _turn_on_and_off(self, until: datetime) -> None:
        while self._pending and self._pending[0][0].release_at <= until:
            change, collar = self._pending[0]
            if not isinstance(change, PowerChange):
                return
            self._pending.popleft()
            self._commit(change.release_at - JUST_BEFORE)  # so far all was written in time
            self._parts.switch.turn(collar, change)

    async def _seal(self) -> None:
        """Seal what is not sealed yet."""
        for number, collar in enumerate(self._collars.values(), 1):
            with self._watch.timing(Stage.WRITING):
                collar.seal(self._until)
            if number % RELEASE_SLICE == 0:
                await asyncio.sleep(0)

    def _commit(self, until: datetime) -> None:
        """Make what was said durable together with how far we are, then let it be sent."""
        self._until = until
        switching = [] if self._is_ending else self._parts.installation.switching(until)
        nvm = {NVM_UNTIL: until.isoformat().encode()}
        while self._minutes and self._minutes[0].end_at <= until:
            over = self._minutes.popleft()
            nvm[NVM_CARRIED] = over.carried
            if self._truth is not None:
                for collar_id, minute, battery_pct in over.truth:
                    self._truth.add(collar_id, minute, battery_pct)
        with self._watch.timing(Stage.FLASH):
            written = self._flash.commit(nvm, [each.writes for each in switching])
        for flash in written:
            self._wake(flash)
        for each in switching:
            each.done()

    def _wake(self, flash: FlashLog) -> None:
        collar, uplink = self._collars[flash.collar_id], self._parts.uplinks[flash.collar_id]
        at_once = not self._is_live or self._is_ending or collar.is_urgent
        if not collar.lets_go(self._until, at_once=at_once):
            return
        if at_once:
            uplink.wake()
        else:
            share = flash.number * 0.618 % 1.0  # golden ratio: even for any number of collars
            wait_s = share * SPREAD_S / self._parts.clock.speed
            asyncio.get_running_loop().call_later(wait_s, uplink.wake)
        collar.is_urgent = False

    async def _room(self) -> None:
        """Wait until no collar would have to overwrite what the gateway lacks."""
        logs = self._flash.logs.values()
        while not self._stop.is_set():
            now_s = time.monotonic()
            newest_s = max((each.progress_s for each in logs), default=0.0)
            if not any(
                each.is_nearly_full and not _is_stuck(each, now_s, newest_s) for each in logs
            ):
                return
            await asyncio.sleep(ROOM_POLL_S)

    async def _settle(self, limit_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                heard = [each for each in self._collars.values() if each.is_on]
                while any(len(each.flash) for each in heard):  # noqa: ASYNC110 - as in _room
                    await asyncio.sleep(ROOM_POLL_S)


def _is_stuck(flash: FlashLog, now_s: float, newest_s: float) -> bool:
    silent_s, behind_s = now_s - flash.progress_s, newest_s - flash.progress_s
    return silent_s > STUCK_S and behind_s > STUCK_BEHIND_S
