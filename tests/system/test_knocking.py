"""A collar that nobody acknowledges: it does not shout, and owes nothing once somebody does."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collar_sim.firmware.collar import Collar
from collar_sim.firmware.link import resend
from collar_sim.firmware.link.link import Link
from collar_sim.firmware.link.uplink import Uplink
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.log.sealer import SealingKey
from collar_sim.firmware.minute import Draft
from gateway.wire.messages import Key
from gateway.wire.session import BrokerUrl, Delivery
from gateway.wire.topics import Kind, Topic
from pawmesh.embedded.broker import Broker
from pawmesh.embedded.ports import free_ports
from tests.patience import PATIENCE_S
from tests.system.household import SITE, Acknowledger

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
FIX = {"lat_deg": 48.0, "lon_deg": 11.0, "accuracy_m": 3.0}
MESSAGES, KNOCKS = 60, 8


class Counting(Acknowledger):
    """Counts how often each message comes."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.times: Counter[bytes] = Counter()

    def _keep(self, topic: Topic, delivery: Delivery) -> None:
        super()._keep(topic, delivery)
        if topic.kind is not Kind.STATUS:
            self.times[delivery.payload] += 1


async def test_one_message_knocks_for_all_until_somebody_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(resend, "ACK_TIMEOUT_S", 0.1)
    monkeypatch.setattr(resend, "MAX_ACK_TIMEOUT_S", 0.2)
    key = SealingKey(Ed25519PrivateKey.generate(), bytes(32))
    with (
        Broker(tmp_path / "broker", free_ports(1)[0]).running() as url,
        Flash.open(tmp_path / "flash") as flash,
    ):
        flash.boot(["c1"])
        collar = Collar(flash.logs["c1"], key, AT)
        collar.be_born([])
        for second in range(MESSAGES):
            at = AT + timedelta(seconds=second)
            collar.say(Draft(at, Kind.FIX, at, FIX))
        flash.commit()
        owed = len(flash.logs["c1"])
        gateway = Counting(url)
        gateway.mute = True
        link = Link(BrokerUrl.parse(url), SITE)
        uplink = Uplink(link, collar)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(gateway.run()), tasks.create_task(uplink.run())]
            await gateway.until(lambda: gateway.received >= owed + KNOCKS)
            assert len(gateway.held) == owed
            again = {payload for payload, times in gateway.times.items() if times > 1}
            assert again == {gateway.held["c1", Key(1, 0)][1]}, "a knock is one message"
            gateway.mute = False
            async with asyncio.timeout(PATIENCE_S):
                while len(flash.logs["c1"]):  # noqa: ASYNC110 - of another task
                    await asyncio.sleep(0.01)
            for task in running:
                task.cancel()
