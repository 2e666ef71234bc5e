"""From a recording's rate to the firmware's, without inventing what was not there.

A rational polyphase resampler (`scipy.signal.resample_poly`) with a filter of our own: a Kaiser
window design that passes up to `PASS` of the lower of both Nyquist frequencies and is `STOP_DB`
down at it. Its default would be 6 dB down there, and let half of what lies just above fold back.
The delay is taken out, so a peak stays where it was; the ends are mirrored, so that gravity does
not seem to begin with the recording.
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np

from collar_sim.firmware.sensing.epochs import RATE_HZ
from plugins.sdk.arrays import FloatArray

PASS = 0.85  # of the Nyquist frequency; above it lies the filter's slope
STOP_DB = 60.0
MAX_DOWN = 2_000  # of the ratio: an error below 1 in 4 million, 4 ms in five hours
SAME = 0.002  # rates closer than this are the same crystal on another day


def to_firmware(samples: FloatArray, rate_hz: float) -> FloatArray:
    """Samples at the firmware's rate; the first one stays where it is.

    Args:
        samples: Shape (n, channels), evenly spaced.
        rate_hz: How many a second.
    """
    if abs(rate_hz / RATE_HZ - 1.0) <= SAME or len(samples) < 2:
        return samples
    from scipy import signal  # here: it takes a second, and most commands resample nothing

    ratio = Fraction(RATE_HZ / rate_hz).limit_denominator(MAX_DOWN)
    up, down = ratio.numerator, ratio.denominator
    made = signal.resample_poly(
        samples, up, down, axis=0, window=low_pass(up, down), padtype="symmetric"
    )
    return np.asarray(made[: int(len(samples) * RATE_HZ / rate_hz + 1e-6)], np.float32)


@lru_cache(maxsize=64)  # sessions of one logger have few rates
def low_pass(up: int, down: int) -> FloatArray:
    """The filter of a ratio, for samples between which ``up - 1`` zeros were put."""
    from scipy import signal

    nyquist = 1.0 / max(up, down)  # of half the rate with the zeros
    width = (1.0 - PASS) * nyquist
    taps, beta = signal.kaiserord(STOP_DB, width)
    taps |= 1  # odd: the delay is a whole number of samples
    middle = nyquist * (1.0 + PASS) / 2.0
    made = signal.firwin(taps, middle, window=("kaiser", beta))  # pyright: ignore[reportArgumentType] - scipy takes pairs
    return np.asarray(made, np.float32)
