"""The gateway's store: SQLite, one writer, durable before anything is acknowledged."""

from gateway.store.store import Store, from_us, to_us

__all__ = ["Store", "from_us", "to_us"]
