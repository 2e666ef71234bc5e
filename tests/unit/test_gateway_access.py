"""Whose a connection is decides whether it may read without a token."""

import os
import socket
from pathlib import Path

import pytest

from gateway.api.access import uid_of_connection

pytestmark = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="the kernel tells whose a connection is on Linux"
)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_is_its_users_own(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host, 0), family=family) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
    ):
        ends = client.getsockname()[:2], server.getsockname()[:2]
        assert uid_of_connection(*ends) == os.getuid()


def test_the_port_of_anothers_connection_is_not_enough() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        port = client.getsockname()[1]  # a stranger may have it at another loopback address
        assert uid_of_connection(("127.0.0.2", port), server.getsockname()) is None
        assert uid_of_connection(client.getsockname(), ("127.0.0.1", 1)) is None
