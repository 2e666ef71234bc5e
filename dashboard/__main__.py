"""``python -m dashboard``: the owner's page, configured by ``DASHBOARD_`` variables."""

import errno
import os
import socket
import sys
from pathlib import Path

from streamlit import net_util
from streamlit.web import cli

from dashboard.settings import Settings

APP = Path(__file__).with_name("app.py")
EXIT_PORT_IN_USE = 4
LOOK = {
    "base": "light",
    "primaryColor": "#2f7d6b",
    "backgroundColor": "#f7f6f2",
    "secondaryBackgroundColor": "#efede7",
    "textColor": "#24312f",
    "borderColor": "#e6e3db",
    "baseRadius": "0.8rem",
    "paddingTop": "1.6rem",
}


def options(settings: Settings) -> dict[str, str]:
    """Streamlit's options; given as flags, they hold in whatever folder we are started."""
    return {
        "server.address": settings.host,
        "server.port": str(settings.port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",  # what broke is in the log, not in the browser
        "client.showErrorLinks": "false",
        "logger.hideWelcomeMessage": "true",
        "runner.magicEnabled": "false",
        **{f"theme.{name}": value for name, value in LOOK.items()},
    }


def main() -> int:
    """Serve until interrupted; the exit code says what was wrong."""
    settings = Settings()
    if _is_taken(settings.host, settings.port):
        sys.stderr.write(f"pawmesh dashboard: port {settings.port} is in use; set DASHBOARD_PORT\n")
        return EXIT_PORT_IN_USE
    # Streamlit would ask a service on the internet for our address when a strange page calls
    net_util.get_external_ip = lambda: None
    flags = [f"--{name}={value}" for name, value in options(settings).items()]
    flags += [f"--server.allowedHosts={host}" for host in settings.browser_hosts]
    cli.main(["run", str(APP), *flags], prog_name="dashboard", standalone_mode=False)
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
