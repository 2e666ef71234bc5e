"""No body larger than any route needs is ever held in memory, whoever sends it."""

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES = 2 * 2**20  # the secrets of 5,000 collars several times over


class LimitBodies:
    """Stops reading a body as soon as it is too large, declared or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        taken = 0

        async def counting() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_BYTES:
                raise HTTPException(413, f"at most {BODY_BYTES} bytes are taken here")
            return message

        await self._app(scope, counting, send)
