"""What all readers share: the way to gateway and cloud, and the door."""

from dataclasses import dataclass
from functools import cache

from dashboard.access.door import Door
from dashboard.access.sessions import Sessions
from dashboard.access.verifier import Verifier
from dashboard.cloud import Cloud
from dashboard.gateway import Gateway
from dashboard.settings import Settings


@dataclass(frozen=True, slots=True)
class House:
    """One home's dashboard."""

    settings: Settings
    gateway: Gateway
    cloud: Cloud | None
    door: Door


def open_house() -> House:
    """The house that the environment describes; the same one for the same settings."""
    settings = Settings()
    return _house(settings.model_dump_json())


@cache
def _house(as_json: str) -> House:
    settings = Settings.model_validate_json(as_json)
    gateway = Gateway(settings.gateway_url, settings.gateway_token_file)
    cloud = Cloud(settings.cloud_url) if settings.cloud_url else None
    sessions, verifier = Sessions(settings.state_dir), Verifier(settings.state_dir)
    return House(settings, gateway, cloud, Door(gateway, cloud, sessions, verifier))
