"""What the dashboard needs to know."""

import re
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

TILE_URL = re.compile(r"https?://[^\s;,'\"]+\{z\}[^\s;,'\"]*")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(BaseSettings):
    """What the dashboard needs to know; environment variables begin with ``DASHBOARD_``."""

    model_config = SettingsConfigDict(
        env_prefix="DASHBOARD_", frozen=True, use_attribute_docstrings=True
    )

    gateway_url: str = "http://127.0.0.1:8601"
    """Where the home's gateway answers."""
    gateway_token_file: Path | None = None
    """The gateway's ``gateway.token``. To *look* it is not needed on the gateway's own machine and
    user; to correct what a collar said, it is."""
    cloud_url: str | None = None
    """Where the cloud answers, with which owners sign in; without it nobody can."""
    state_dir: Path = Path("dashboard-data")
    """Holds who is signed in (``sessions.json``) and who may sign in while the cloud is away
    (``owners.json``)."""
    host: str = "127.0.0.1"
    """Address that the page is served on."""
    port: int = Field(default=8602, ge=1, le=65535)
    """Port that the page is served on."""
    allowed_hosts: list[str] = []
    """Names the page may be called by in a browser (a JSON list); by default any, except on
    loopback, where it is only this machine's: no other web page can then reach it by a name."""
    https: bool = False
    """A proxy in front makes the page reached by HTTPS: its cookie then never goes without, and the
    addresses that a proxy on this machine passes on are believed (``FORWARDED_ALLOW_IPS``: of
    others, too)."""
    tile_url: str | None = None
    """Map tiles under the places, such as ``https://tiles.example/{z}/{x}/{y}.png``. Without it
    the map is drawn from what is at home alone. Whoever serves tiles learns where you live."""
    tile_credit: str = Field(default="", max_length=120)
    """Whom the map tiles are by, as their licence wants it said."""

    @field_validator("tile_url")
    @classmethod
    def _tiles_are_numbered(cls, url: str | None) -> str | None:
        """It becomes a part of the page's policy, so it must not be able to widen that."""
        if url is not None and not TILE_URL.fullmatch(url):
            raise ValueError("should be like https://tiles.example/{z}/{x}/{y}.png")
        return url

    @property
    def browser_hosts(self) -> list[str]:
        """The host names that are answered; empty: any."""
        if self.allowed_hosts or self.host not in LOOPBACK:
            return self.allowed_hosts
        return list(LOOPBACK)
