"""The small types that all messages are made of; limits are part of the contract."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from gateway.wire.topics import ID_PATTERN

END = r"(?!\n)"  # Python's $ also matches before a last line break

Id = Annotated[str, Meta(pattern=ID_PATTERN + END)]
Counter = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # exact in JSON readers too
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Share = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(min_length=1, max_length=48)]
Instant = Annotated[datetime, Meta(tz=True)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$" + END)]
