"""What a run of a fleet came to, in numbers that can be compared with what arrived."""

from datetime import datetime

from msgspec import Struct


class Report(Struct, kw_only=True):
    """Counts over the whole life of the data folder, but for seconds, windows and refusals."""

    collars: int
    published: int
    """Distinct messages written to flash."""
    by_kind: dict[str, int]
    transmissions: int
    """Of messages, repetitions included."""
    radio_lost: int
    """Transmissions that never reached the broker."""
    overwritten: int
    """Messages lost because a flash was full."""
    acked: int
    """Messages that the gateway said it has."""
    owed: int
    """Messages still in flash."""
    too_large: int
    """Messages that were never written: beyond what brokers take."""
    boots: int
    """The highest boot counter."""
    seconds: float
    """Of this process."""
    windows: int
    """That this process ran the models on."""
    windows_per_s: float
    simulated_until: datetime
    is_live: bool
    """The present was reached."""
    refused: dict[str, str]
    """Collars that did not run, or broke, and why."""
    refused_models: dict[str, str]
    """Slots left empty, and models over the air that were not installed, and why."""
    updated: int
    """Collars that run a model which came over the air."""
    windows_sent: int
    """Raw windows written to flash, because a grant asks for them."""
