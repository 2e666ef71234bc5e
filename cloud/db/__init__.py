"""PostgreSQL: the pool, statements by name, migrations, TimescaleDB where it is offered."""

from cloud.db.blocking import blocking
from cloud.db.migrate import migrate
from cloud.db.pool import Connection, Database, open_database
from cloud.db.queries import load_queries

__all__ = ["Connection", "Database", "blocking", "load_queries", "migrate", "open_database"]
