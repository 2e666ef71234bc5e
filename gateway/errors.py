"""What can go wrong in a gateway, and what to do about it."""


class GatewayError(Exception):
    """Base of the gateway's errors."""


class StoreNewer(GatewayError):
    """The store was written by a newer Pawmesh. Update Pawmesh, or use another data folder."""


class StoreUnavailable(GatewayError):
    """The store cannot be opened or written. Check the folder's permissions and the free disk."""


class CloudUnreachable(GatewayError):
    """The cloud does not answer. Nothing is lost; the gateway tries again."""


class CloudRefused(GatewayError):
    """The cloud answered no; ``status`` and ``detail`` say why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
