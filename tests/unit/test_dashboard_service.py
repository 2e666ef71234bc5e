"""How the dashboard asks when the other end has closed the connection that both kept."""

import socket
from collections.abc import Iterator
from threading import Thread

import pytest

from dashboard.service import Service, Unreachable

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue"


@pytest.fixture
def service() -> Iterator[Service]:
    """Answers one request on each connection, and closes it when the next one has come."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                with listener.accept()[0] as connection:
                    connection.recv(65_536)
                    connection.sendall(ANSWER)
                    connection.recv(65_536)

        server = Thread(target=serve)
        server.start()
        service = Service(f"http://127.0.0.1:{listener.getsockname()[1]}", 5.0)
        yield service
        service.close()
        server.join(5)


def test_a_kept_connection_that_was_closed_is_no_silence(service: Service) -> None:
    assert [service.ask("GET", "/", headers={}).content for _ in range(2)] == [b"true"] * 2


def test_what_may_have_been_done_is_not_done_again(service: Service) -> None:
    service.ask("GET", "/", headers={})
    with pytest.raises(Unreachable):
        service.ask("POST", "/", headers={}, body={})
    assert service.ask("GET", "/", headers={}).status_code == 200
