"""Which port each part listens on: chosen at the first start, remembered in the data folder."""

import errno
import json
import os
import socket
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil

from pawmesh.errors import NoAccess, PortInUse

DEFAULT_BASE = 8600
BLOCK_STEP = 10  # 8600, 8610, ...: room for a part more, and easy to remember
BLOCKS = 100
PORTS_FILE = "ports.json"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """One port for each part of the house."""

    cloud: int
    gateway: int
    dashboard: int
    broker: int
    database: int

    @classmethod
    def block(cls, base: int) -> "Ports":
        """The five ports that begin at ``base``, in the order of the fields.

        >>> Ports.block(8600).database
        8604
        """
        return cls(**{part: base + index for index, part in enumerate(PARTS)})


PARTS = tuple(field.name for field in fields(Ports))


def allocate(data_dir: Path, base: int | None = None, *, needed: Collection[str] = PARTS) -> Ports:
    """The ports for this start, remembered in ``data_dir/ports.json`` for the next one.

    Args:
        data_dir: The data folder; made when it is missing.
        base: First port of the block to use; 0 for any free ports; None for the remembered ones,
            or at a first start the first free block from 8600 on.
        needed: The parts that will listen; the ports of the others need not be free.

    Raises:
        PortInUse: A port that was asked for, or is remembered, is held by another program.
        NoAccess: ``ports.json`` cannot be written, or the ports need rights that we lack.
    """
    if base is not None and base != 0:
        ports = _checked(Ports.block(base), needed)
    elif base == 0:
        ports = _any_free()
    elif (remembered := recall(data_dir)) is not None:
        ports = _checked(remembered, needed)
    else:
        ports = _first_free_block(needed)
    _remember(data_dir, ports)
    return ports


def recall(data_dir: Path) -> Ports | None:
    """The ports of the last start from this data folder, None before the first."""
    try:
        found = json.loads((data_dir / PORTS_FILE).read_text())
        return Ports(**{part: int(found[part]) for part in PARTS})
    except (OSError, ValueError, TypeError, KeyError):
        return None  # never started, or a damaged file: choosing anew does no harm


def free_ports(count: int) -> list[int]:
    """``count`` different loopback ports that nothing listens on at this moment.

    Each has had a connection, which the kernel remembers for a minute: whoever asks for any port is
    given another one meanwhile, and a server, which may reuse addresses, can listen at once.
    """
    with ExitStack() as held:
        servers = [held.enter_context(socket.socket()) for _ in range(count)]
        for server in servers:
            server.bind(("127.0.0.1", 0))
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.listen(1)
            with socket.create_connection(server.getsockname()) as caller:
                server.accept()[0].close()  # who closes first is who remembers
                caller.recv(1)
        return [int(server.getsockname()[1]) for server in servers]


def is_free(port: int) -> bool:
    """Whether we could listen on this loopback port now.

    Raises:
        NoAccess: Ports below 1024 need root's rights.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise NoAccess(
                f"Port {port} needs root's rights. Choose a port of 1024 or above: --port-base 8600"
            ) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def require_free(port: int, part: str) -> None:
    """Raise ``PortInUse``, naming the holder where it can be told, unless the port is free."""
    if is_free(port):
        return
    raise PortInUse(
        f"Port {port}, for the {part}, is in use{_holder(port)}. "
        "Stop that program, or choose other ports: --port-base N (0: any that are free)",
        port=port,
    )


def _checked(ports: Ports, needed: Collection[str]) -> Ports:
    for part, port in asdict(ports).items():
        if part in needed:
            require_free(port, part)
    return ports


def _first_free_block(needed: Collection[str]) -> Ports:
    for index in range(BLOCKS):
        ports = Ports.block(DEFAULT_BASE + index * BLOCK_STEP)
        if all(is_free(port) for part, port in asdict(ports).items() if part in needed):
            return ports
    return _any_free()


def _any_free() -> Ports:
    return Ports(**dict(zip(PARTS, free_ports(len(PARTS)), strict=True)))


def _holder(port: int) -> str:
    """`` by NAME (pid N)``, or nothing where the system does not tell."""
    try:
        for connection in psutil.net_connections("tcp"):
            local = connection.laddr
            if local and local.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid is None:
                    break
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        pass
    return " by a program of another user" if hasattr(os, "geteuid") and os.geteuid() else ""


def _remember(data_dir: Path, ports: Ports) -> None:
    target = data_dir / PORTS_FILE
    fresh = target.with_suffix(".new")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(asdict(ports), indent=1) + "\n")
        fresh.replace(target)
    except OSError as error:
        raise NoAccess(f"Cannot write {target}: {error.strerror}. Choose --data-dir") from error
