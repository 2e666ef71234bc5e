"""``python -m gateway``: one home's gateway, configured by ``GATEWAY_`` variables."""

import asyncio
import errno
import signal
import sys

from gateway.errors import StoreNewer, StoreUnavailable
from gateway.logs import log_to_stderr
from gateway.main import Settings, run

EXIT_PORT_IN_USE, EXIT_OTHER_VERSION, EXIT_NO_ACCESS = 4, 5, 6


def main() -> int:
    """Serve until interrupted; the exit code says what was wrong."""
    log_to_stderr()
    try:
        asyncio.run(_until_signalled())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    except StoreNewer as error:
        return _fail(EXIT_OTHER_VERSION, error)
    except (StoreUnavailable, OSError) as error:
        return _fail(EXIT_NO_ACCESS, error)
    except ExceptionGroup as group:
        error = group.exceptions[0]
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            return _fail(EXIT_PORT_IN_USE, error)
        raise
    return 0


async def _until_signalled() -> None:
    """SIGTERM ends us in the same good order as SIGINT, which ``asyncio.run`` sees to."""
    task = asyncio.ensure_future(run(Settings()))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


def _fail(code: int, error: Exception) -> int:
    sys.stderr.write(f"pawmesh gateway: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
