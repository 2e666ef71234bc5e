"""TimescaleDB, where the server offers it: hypertables, columnstore, retention.

The time tables are partitioned by ``stored_at``, the instant of receipt, not by the instant of
the event: a recording replayed years later must not be dropped the next night, and history that
arrives late must not open compressed chunks. An index by pet and event time serves the readers.
"""

import psycopg
import structlog
from psycopg import sql

log: structlog.stdlib.BoundLogger = structlog.get_logger()

TIME_TABLES = ("epoch", "fix", "event", "raw_window")


def use_timescale(db: psycopg.Connection, retention_days: int) -> bool:
    """Turn the time tables into hypertables if the server can; harmless to repeat.

    Args:
        db: In autocommit, of a migrated database.
        retention_days: Age since receipt at which detailed data is dropped.

    Returns:
        Whether TimescaleDB is in use.
    """
    offered = db.execute(
        """SELECT 1 FROM pg_available_extensions
           WHERE name = 'timescaledb'
             AND current_setting('shared_preload_libraries') LIKE '%timescaledb%'"""
    ).fetchone()
    if offered is None:
        return False
    db.execute("SET client_min_messages = warning")
    db.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    for table in TIME_TABLES:
        _convert(db, sql.Literal(table), sql.Identifier(table), retention_days)
    log.info("timescale.used", tables=TIME_TABLES)
    return True


def _convert(
    db: psycopg.Connection, name: sql.Literal, table: sql.Identifier, retention_days: int
) -> None:
    done = db.execute(
        sql.SQL(
            "SELECT 1 FROM timescaledb_information.hypertables"
            " WHERE hypertable_schema = current_schema() AND hypertable_name = {}"
        ).format(name)
    ).fetchone()
    if done is None:
        for statement in (
            "SELECT create_hypertable({name}, by_range('stored_at', INTERVAL '1 day'),"
            " if_not_exists => true, migrate_data => true, create_default_indexes => false)",
            "ALTER TABLE {table} SET (timescaledb.enable_columnstore = true,"
            " timescaledb.segmentby = 'pet_id', timescaledb.orderby = 'observed_at DESC')",
        ):
            db.execute(sql.SQL(statement).format(name=name, table=table))
    db.execute(
        sql.SQL(
            "CALL add_columnstore_policy({}, after => INTERVAL '7 days', if_not_exists => true)"
        ).format(name)
    )
    db.execute(sql.SQL("SELECT remove_retention_policy({}, if_exists => true)").format(name))
    db.execute(
        sql.SQL("SELECT add_retention_policy({}, drop_after => make_interval(days => {}))").format(
            name, sql.Literal(retention_days)
        )
    )
