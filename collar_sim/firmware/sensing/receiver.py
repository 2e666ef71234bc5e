"""What positioning drives and hears: the parts as their pins show them, whoever makes them."""

from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Measured(Protocol):
    """A position, as the receiver says it."""

    @property
    def lat_deg(self) -> float:
        """Of WGS 84."""
        ...

    @property
    def lon_deg(self) -> float:
        """Of WGS 84."""
        ...

    @property
    def accuracy_m(self) -> float:
        """Radius that it claims for 68 of 100 cases."""
        ...

    @property
    def hdop(self) -> float:
        """How the satellites stand."""
        ...

    @property
    def speed_mps(self) -> float:
        """Over ground."""
        ...


class Receiver(Protocol):
    """The GNSS receiver. Instants are whole seconds since 1970."""

    @property
    def is_on(self) -> bool:
        """Whether it takes its 25 mW."""
        ...

    def turn_on(self, now_s: int, *, aided: bool) -> None:
        """Start to search; ``aided`` where it was told the orbits over the network."""
        ...

    def turn_off(self) -> None:
        """Sleep."""
        ...

    def listen(self, now_s: int) -> Measured | None:
        """A second with the receiver on: where it is, if it has a fix."""
        ...


class Heard(Protocol):
    """What of a minute the collar's WiFi hears."""

    @property
    def start_at(self) -> datetime:
        """When it began."""
        ...

    @property
    def at_home_wifi(self) -> NDArray[np.bool_]:
        """Shape (60,): whether the home's access point can be heard."""
        ...
