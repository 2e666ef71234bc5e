"""What the dashboard needs to know."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(BaseSettings):
    """What the dashboard needs to know; environment variables begin with ``DASHBOARD_``."""

    model_config = SettingsConfigDict(
        env_prefix="DASHBOARD_", frozen=True, use_attribute_docstrings=True
    )

    gateway_url: str = "http://127.0.0.1:8601"
    """Where the home's gateway answers."""
    gateway_token_file: Path | None = None
    """The gateway's ``gateway.token``. On the gateway's own machine and user it is not needed."""
    cloud_url: str | None = None
    """Where the cloud answers; the first page does without it."""
    host: str = "127.0.0.1"
    """Address that the page is served on."""
    port: int = 8602
    """Port that the page is served on."""
    allowed_hosts: list[str] = []
    """Names the page may be called by in a browser (a JSON list); by default any, except on
    loopback, where it is only this machine's: no other web page can then reach it by a name."""

    @property
    def browser_hosts(self) -> list[str]:
        """The host names that are answered; empty: any."""
        if self.allowed_hosts or self.host not in LOOPBACK:
            return self.allowed_hosts
        return list(LOOPBACK)
