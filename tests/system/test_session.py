"""Sessions against a real broker that takes little at once."""

import asyncio
from pathlib import Path

from gateway.wire.session import BrokerUrl, connect
from pawmesh.embedded.ports import free_ports
from tests.patience import PATIENCE_S
from tests.system.mosquitto import Mosquitto


async def test_what_the_broker_has_no_room_for_waits_and_keeps_its_order(tmp_path: Path):
    stock = Mosquitto(tmp_path / "mosquitto", free_ports(1)[0], max_inflight=20)
    with stock.running() as url:
        broker = BrokerUrl.parse(url)
        async with connect(broker, "ear") as ear, connect(broker, "mouth") as mouth:
            await ear.subscribe("t")
            for number in range(1_500):
                mouth.publish("t", str(number).encode(), content_type="text/plain")
            heard: list[int] = []
            async with asyncio.timeout(PATIENCE_S):
                await mouth.drained()
                async for batch in ear.batches(100, 0.0):
                    heard += [int(each.payload) for each in batch]
                    for each in batch:
                        each.settle()
                    if len(heard) >= 1_500:
                        break
    assert heard == list(range(1_500))


async def test_without_echo_what_we_say_does_not_come_back(tmp_path: Path):
    with Mosquitto(tmp_path / "mosquitto", free_ports(1)[0]).running() as url:
        broker = BrokerUrl.parse(url)
        async with connect(broker, "gateway") as gateway, connect(broker, "collar") as collar:
            await gateway.subscribe("home/+", echo=False)
            gateway.publish("home/ack", b"ours")
            await gateway.drained()
            collar.publish("home/epoch", b"theirs")
            async with asyncio.timeout(PATIENCE_S):
                async for batch in gateway.batches(10, 0.0):
                    assert [each.topic for each in batch] == ["home/epoch"]
                    break
