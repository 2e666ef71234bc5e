"""No body larger than its route needs is ever held in memory."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.api.problems import problem
from cloud.errors import BodyTooLarge

UPLINK_BODY_BYTES = 9 * 2**20  # MAX_BODY_BYTES unpacked; what does not compress grows a little
OTHER_BODY_BYTES = 2 * 2**20  # a bulk enrolment of 5,000 collars


class LimitBodies:
    """Refuses a body as soon as it is known to be too large, declared or counted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = UPLINK_BODY_BYTES if scope["path"] == "/v1/uplink" else OTHER_BODY_BYTES
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            error = BodyTooLarge(f"at most {limit} bytes are taken here")
            await problem(error.status, error.title, str(error))(scope, receive, send)
            return
        taken = 0

        async def counting() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > limit:
                raise BodyTooLarge(f"at most {limit} bytes are taken here")
            return message

        await self._app(scope, counting, send)
