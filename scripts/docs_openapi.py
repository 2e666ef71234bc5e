"""Write ``docs/reference/openapi-cloud.json`` and ``openapi-gateway.json`` from the routes.

The applications are made as their services make them, over an empty store; nothing listens.
"""

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import SecretStr

from cloud.api.app import create_app
from cloud.settings import Settings
from gateway.api import make_app
from gateway.host import PluginHost
from gateway.registry import Household
from gateway.store import Store

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"


def cloud() -> dict[str, Any]:
    """The cloud's document."""
    url = SecretStr("postgresql://nobody@127.0.0.1/nothing")
    return create_app(Settings(database_url=url, operator_token_file=Path("unused"))).openapi()


async def gateway() -> dict[str, Any]:
    """The gateway's document."""
    with TemporaryDirectory() as folder:
        async with Store.open(Path(folder) / "gateway.db") as store, PluginHost.open([]) as host:
            return make_app(store, Household("home"), host, "unused").openapi()


def render() -> dict[str, str]:
    """The text of each file, by its name."""
    documents = {
        "openapi-cloud.json": cloud(),
        "openapi-gateway.json": asyncio.run(gateway()),
    }
    return {
        name: json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }


if __name__ == "__main__":
    for name, text in render().items():
        (REFERENCE / name).write_text(text, "utf-8")
