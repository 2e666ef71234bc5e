"""``python -m dashboard``: the owner's page, configured by ``DASHBOARD_`` variables."""

import errno
import os
import socket
import sys
from contextlib import suppress

from pydantic import ValidationError

from dashboard.server import serve
from dashboard.settings import Settings

EXIT_USAGE = 2
EXIT_PORT_IN_USE = 4
EXIT_NO_FOLDER = 6


def main() -> int:
    """Serve until interrupted; the exit code says what was wrong."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"DASHBOARD_{'_'.join(str(part) for part in first['loc'][:1]).upper()}"
        sys.stderr.write(f"pawmesh dashboard: {name}: {first['msg']}\n")
        return EXIT_USAGE
    if _is_taken(settings.host, settings.port):
        sys.stderr.write(f"pawmesh dashboard: port {settings.port} is in use; set DASHBOARD_PORT\n")
        return EXIT_PORT_IN_USE
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        sys.stderr.write(f"pawmesh dashboard: {error}; set DASHBOARD_STATE_DIR\n")
        return EXIT_NO_FOLDER
    with suppress(KeyboardInterrupt):  # SIGINT is how it ends, and no failure
        serve(settings)
    return 0


def _is_taken(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


if __name__ == "__main__":
    sys.exit(main())
