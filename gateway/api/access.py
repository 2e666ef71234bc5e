"""Who may ask the gateway: the owner's token, or the gateway's own user on this very machine.

A program of the user that owns the data folder could read the store anyway, so for *reading* over
loopback it needs no token; the kernel says whose the connection is. Everyone else shows the token:
another user, another host, a web page (whose Host header or origin is not ours), any change.
"""

import hmac
import ipaddress
import os
import struct
from pathlib import Path
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPBearer

TCP_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
BEARER = HTTPBearer(
    auto_error=False,
    description="The gateway's token; its own user reads without it, on its own machine.",
)  # only says so in the reference: require_owner decides
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


def require_owner(request: Request) -> None:
    """Let the owner pass.

    Raises:
        HTTPException: 401 without a token, or with a wrong one.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    expected: str = request.app.state.token
    if scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), expected.encode()):
        return
    if not token and request.method in ("GET", "HEAD") and _is_local_self(request):
        return
    raise HTTPException(
        401, "the gateway's token is needed", headers={"WWW-Authenticate": "Bearer"}
    )


OwnerOnly = Annotated[None, Depends(require_owner)]


def _is_local_self(request: Request) -> bool:
    host = request.headers.get("host", "").rsplit(":", 1)[0]
    if host not in LOCAL_HOSTS or "origin" in request.headers:
        return False
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False  # a browser says that another site's page asks
    server: tuple[str, int] | None = request.scope.get("server")
    if request.client is None or server is None:
        return False
    if not ipaddress.ip_address(request.client.host).is_loopback:
        return False
    return uid_of_connection((request.client.host, request.client.port), server) == os.getuid()


def uid_of_connection(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """The user at the ``client`` end of a connection, where the kernel tells.

    Both ends are compared: others may have the client's port too, at another address.
    """
    wanted = [_as_in_table(*client), _as_in_table(*server), "01"]  # 01: established
    for table in TCP_TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue  # not Linux, or hidden: the token is needed
        for line in lines:
            columns = line.split()
            if columns[1:4] == wanted:
                return int(columns[7])
    return None


def _as_in_table(host: str, port: int) -> str:
    """An address as the kernel's tables write it: words in the machine's byte order.

    >>> _as_in_table("127.0.0.1", 80)
    '0100007F:0050'
    """
    packed = ipaddress.ip_address(host).packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
