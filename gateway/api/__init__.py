"""The gateway's HTTP API: everything the owner can see, from the home itself."""

from gateway.api.app import make_app

__all__ = ["make_app"]
