"""``python -m cloud``: serve until SIGINT or SIGTERM; settings come from ``CLOUD_...``."""

import asyncio
import signal
import sys

import structlog
from pydantic import ValidationError

from cloud.errors import DatabaseNewer, DatabaseUnavailable, KeyFileUnusable, MigrationChanged
from cloud.main import run
from cloud.settings import Settings
from gateway.logs import log_to_stderr

EXIT_FAILED, EXIT_USAGE, EXIT_PORT, EXIT_VERSION, EXIT_ACCESS = 1, 2, 4, 5, 6

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def main() -> int:
    """Run the cloud and return its exit code."""
    log_to_stderr()
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue] - filled from the environment
    except ValidationError as error:
        log.error("settings.invalid", error=str(error))
        return EXIT_USAGE
    try:
        asyncio.run(_until_told(settings))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    except (DatabaseNewer, MigrationChanged) as error:
        log.error("database.incompatible", error=str(error))
        return EXIT_VERSION
    except DatabaseUnavailable as error:
        log.error("database.unavailable", error=str(error))
        return EXIT_FAILED
    except KeyFileUnusable as error:
        log.error("key.unusable", error=str(error))
        return EXIT_ACCESS
    except OSError as error:
        log.error("address.unavailable", error=str(error))
        return EXIT_ACCESS if isinstance(error, PermissionError) else EXIT_PORT
    return 0


async def _until_told(settings: Settings) -> None:
    """Serve; SIGTERM cancels as SIGINT does, so that every ``finally`` runs."""
    task = asyncio.current_task()
    if task is not None and sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await run(settings)


if __name__ == "__main__":
    sys.exit(main())
