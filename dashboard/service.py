"""One HTTP service as the dashboard asks it: limits on time and size, and errors in sentences."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
from pydantic import TypeAdapter, ValidationError

from dashboard.settings import LOOPBACK

DROPPED = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)
MAX_BYTES = 32 * 2**20  # a day of every pet is far below

T = TypeVar("T")


class TooMuch(Exception):
    """The answer is larger than any of ours."""


class Slow(Exception):
    """No answer in time."""


class Unreachable(Exception):
    """Nothing answers there."""


class Service:
    """Sends requests and reads whole answers. May be used by many threads at once.

    Args:
        url: Where the service answers.
        timeout_s: For connecting, and for each wait for bytes.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.url = url.rstrip("/")
        near = (urlsplit(self.url).hostname or "") in LOOPBACK
        # a proxy for the internet does not know the way to this machine
        self._http = httpx2.Client(timeout=timeout_s, trust_env=not near)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None = None,
        body: object = None,
    ) -> httpx2.Response:
        """The answer, whatever its status.

        Raises:
            Slow: It took too long.
            Unreachable: There is nothing to talk to, or it talks nonsense.
            TooMuch: Its answer does not end.
        """
        request = self._http.build_request(
            method, f"{self.url}{path}", headers=dict(headers), params=params, json=body
        )
        try:
            return self._answer(request)
        except Unreachable as error:
            if method != "GET" or not isinstance(error.__cause__, DROPPED):
                raise
        return self._answer(request)  # a kept connection, closed by the other end meanwhile

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        try:
            with closing(self._http.send(request, stream=True)) as answer:
                content = bytearray()
                for piece in answer.iter_bytes():
                    content += piece
                    if len(content) > MAX_BYTES:
                        raise TooMuch
        except httpx2.TimeoutException as error:
            raise Slow from error
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            raise Unreachable from error
        return httpx2.Response(
            answer.status_code,
            headers={"content-type": answer.headers.get("content-type", "")}
            | {k: v for k, v in answer.headers.items() if k == "retry-after"},
            content=bytes(content),
        )


def content_of(answer: httpx2.Response) -> object:
    """An answer's JSON; nothing of an empty one.

    Raises:
        ValueError: It is none, or nested beyond measure.
    """
    try:
        return answer.json() if answer.content else None
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def understood(into: TypeAdapter[T], value: object) -> T | None:
    """The answer's content, or ``None`` when it is not of that form."""
    try:
        return into.validate_python(value)
    except ValidationError:
        return None


def detail_of(answer: httpx2.Response) -> str:
    """What a problem document says, as far as it is a short text."""
    try:
        said = content_of(answer)
    except ValueError:
        return ""
    detail: object = said.get("detail") if isinstance(said, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
    return detail[:200] if isinstance(detail, str) else ""
