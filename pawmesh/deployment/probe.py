"""``python -m pawmesh.deployment.probe URL``: exit code 0 when it answers 200; for health checks.

The standard library alone: it runs every few seconds in containers that have no curl.
"""

import http.client
import sys
from urllib.parse import urlsplit

TIMEOUT_S = 4.0


def main(url: str) -> int:
    """Ask once, past any proxy that the environment names."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1
    finally:
        connection.close()
    sys.stderr.write(f"{url}: {status}\n")
    return 0 if status == http.HTTPStatus.OK else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
