"""The contract spoken by a client library that is none of ours: aiomqtt."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt

from gateway.wire.session import BrokerUrl
from tests.patience import PATIENCE_S
from tests.system.home import SITE, enrolled, running_home


async def test_an_aiomqtt_client_is_a_collar(tmp_path: Path) -> None:
    async with running_home(tmp_path, [enrolled("luna")]) as home:
        broker = BrokerUrl.parse(home.broker_url)
        prefix = f"pawmesh/v1/{SITE}/luna"
        key = {"collar_id": "luna", "boot": 1, "observed_at": datetime.now(UTC).isoformat()}
        birth = key | {"seq": 0, "hardware": "a stranger's", "firmware": "1"}
        epoch = key | {"seq": 1, "seconds": {"walk": 60}}
        async with aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            protocol=aiomqtt.ProtocolVersion.V5,
        ) as client:
            await client.subscribe(f"{prefix}/ack", qos=1)
            await client.publish(f"{prefix}/birth", json.dumps(birth), qos=1, retain=True)
            await client.publish(f"{prefix}/epoch", json.dumps(epoch), qos=1)
            async with asyncio.timeout(PATIENCE_S):
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    ack = json.loads(message.payload)  # it spoke JSON, so it is answered in JSON
                    if ack.get("seq") == 1:
                        break
        with home.api as api:
            [pet] = api.get("/v1/pets").json()
    assert pet["behaviour"] == "walk"
