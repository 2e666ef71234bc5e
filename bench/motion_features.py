"""What `bench.realism` looks at in a window of motion: shape, rhythm and spectrum of six signals.

None of it depends on how the collar sits: the window's own mean acceleration gives the direction
of gravity. ``up`` is acceleration along gravity, ``flat`` its magnitude across, ``acc`` its whole
magnitude; ``spin`` is the magnitude of rotation, ``twist`` rotation about gravity, ``tilt`` the
magnitude of the rest. Two sensors differ in what they do near half of their rate, so everything is
of what lies below `HIGHEST_HZ`.
"""

import numpy as np

from collar_sim.arrays import FloatArray, Samples

HIGHEST_HZ = 7.0
BANDS_HZ = ((0.2, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0), (4.0, 5.5), (5.5, 7.0))
FLOORS = {"up": 0.004, "flat": 0.004, "acc": 0.004, "spin": 0.3, "twist": 0.3, "tilt": 0.3}
"""In g and deg/s: of less than this a logarithm would tell one sensor's noise from another's."""
RHYTHM_S = (0.25, 2.0)  # periods among which a rhythm is looked for


def motion_features(windows: Samples, rate_hz: float) -> dict[str, FloatArray]:
    """Features by name, each of shape (n,).

    Args:
        windows: Shape (n, samples, 6): g, then deg/s.
        rate_hz: Above twice `HIGHEST_HZ`.

    >>> found = motion_features(np.ones((2, 66, 6), np.float32), 16.4)
    >>> len(found), found["up_spread"].shape
    (151, (2,))
    """
    slow = _below(windows.astype(np.float64), rate_hz)
    acc, gyr = slow[:, :, :3], slow[:, :, 3:]
    mean = acc.mean(axis=1)
    down = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-3)
    up, twist = np.einsum("nti,ni->nt", acc, down), np.einsum("nti,ni->nt", gyr, down)
    across = acc - up[:, :, None] * down[:, None]
    tilt = gyr - twist[:, :, None] * down[:, None]
    signals = {
        "up": up,
        "flat": np.linalg.norm(across, axis=2),
        "acc": np.linalg.norm(acc, axis=2),
        "spin": np.linalg.norm(gyr, axis=2),
        "twist": twist,
        "tilt": np.linalg.norm(tilt, axis=2),
    }
    found: dict[str, FloatArray] = {}
    for name, signal in signals.items():
        measures = _of_signal(signal, FLOORS[name], rate_hz)
        found |= {f"{name}_{measure}": value for measure, value in measures.items()}
    return found | _between(signals, across, tilt, gyr, acc)


def _below(windows: FloatArray, rate_hz: float) -> FloatArray:
    """Without what lies above `HIGHEST_HZ`."""
    mean = windows.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(windows - mean, axis=1)
    spectrum[:, np.fft.rfftfreq(windows.shape[1], 1.0 / rate_hz) > HIGHEST_HZ] = 0.0
    return np.fft.irfft(spectrum, windows.shape[1], axis=1) + mean


def _of_signal(signal: FloatArray, floor: float, rate_hz: float) -> dict[str, FloatArray]:
    """Size, shape, spectrum and rhythm of one signal, shape (n, samples)."""
    samples = signal.shape[1]
    centred = signal - signal.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1) + floor
    scaled = centred / spread[:, None]
    jerk = np.sqrt((np.diff(signal, axis=1) ** 2).mean(axis=1)) + floor
    found = {
        "spread": np.log(spread),
        "jerk": np.log(jerk / spread),
        "skew": (scaled**3).mean(axis=1),
        "peaked": np.log((scaled**4).mean(axis=1) + 0.1),
    }
    for share in (5, 25, 75, 95):
        found[f"q{share}"] = np.percentile(scaled, share, axis=1)

    freqs_hz = np.fft.rfftfreq(samples, 1.0 / rate_hz)
    power = np.abs(np.fft.rfft(centred * np.hanning(samples), axis=1)) ** 2
    power /= samples * np.sum(np.hanning(samples) ** 2) / 2
    used = (freqs_hz >= BANDS_HZ[0][0]) & (freqs_hz <= BANDS_HZ[-1][1])
    freqs_hz, power = freqs_hz[used], power[:, used]
    shares = power / (power.sum(axis=1) + floor**2)[:, None]
    found |= {
        "peak_hz": freqs_hz[shares.argmax(axis=1)],
        "peak_share": shares.max(axis=1),
        "centre_hz": shares @ freqs_hz,
        "entropy": -(shares * np.log(shares + 1e-9)).sum(axis=1),
    }
    for low, high in BANDS_HZ:
        within = (freqs_hz >= low) & (freqs_hz < high)
        found[f"{low:g}_to_{high:g}_hz"] = np.log(shares[:, within].sum(axis=1) + 1e-4)
    return found | _rhythm(centred, rate_hz)


def _rhythm(centred: FloatArray, rate_hz: float) -> dict[str, FloatArray]:
    """How alike a signal is to itself some time later."""
    samples = centred.shape[1]
    spectrum = np.fft.rfft(centred, n=2 * samples, axis=1)
    alike = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :samples]
    alike = alike / (alike[:, :1] + 1e-9) * (samples / (samples - np.arange(samples)))
    first, last = (round(period_s * rate_hz) for period_s in RHYTHM_S)
    later = alike[:, first : min(last, samples // 2)]
    return {
        "alike": later.max(axis=1),
        "alike_after_s": (later.argmax(axis=1) + first) / rate_hz,
        "unlike": later.min(axis=1),
        "alike_1": alike[:, 1],
        "alike_2": alike[:, 2],
    }


def _between(
    signals: dict[str, FloatArray],
    across: FloatArray,
    tilt: FloatArray,
    gyr: FloatArray,
    acc: FloatArray,
) -> dict[str, FloatArray]:
    """How the signals go together, and how many directions they have."""
    up, flat, size, spin = (signals[name] for name in ("up", "flat", "acc", "spin"))
    half = acc.shape[1] // 2
    turned = np.linalg.norm(acc[:, :half].mean(axis=1) - acc[:, half:].mean(axis=1), axis=1)
    ways, turns = _sizes_of_axes(across, 1e-5), _sizes_of_axes(gyr, 0.09)
    return {
        "up_with_flat": _together(up, flat),
        "up_with_spin": _together(up, spin),
        "acc_with_spin": _together(size, spin),
        "flat_with_spin": _together(flat, spin),
        "up_with_spin_change": _together(np.diff(up, axis=1), spin[:, 1:]),
        "flat_to_up": np.log((across.std(axis=1).max(axis=1) + 0.004) / (up.std(axis=1) + 0.004)),
        "flat_one_way": np.log(ways[:, 1] / ways[:, 2]),
        "spin_one_way": np.log(turns[:, 1] / turns[:, 2]),
        "spin_two_ways": np.log(turns[:, 0] / turns[:, 2]),
        "spin_to_acc": np.log((spin.std(axis=1) + 0.3) / (size.std(axis=1) + 0.004)),
        "twist_to_tilt": np.log(
            (signals["twist"].std(axis=1) + 0.3) / (np.sqrt((tilt**2).mean(axis=(1, 2))) + 0.3)
        ),
        "turned": np.log(turned + 0.002),
        "clipped": (np.abs(acc) > 1.99).any(axis=2).mean(axis=1),
    }


def _sizes_of_axes(vectors: FloatArray, floor: float) -> FloatArray:
    """Variance along each principal axis, smallest first, shape (n, 3)."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    spread = np.einsum("nti,ntj->nij", centred, centred) / vectors.shape[1]
    return np.maximum(np.linalg.eigvalsh(spread), 0.0) + floor


def _together(one: FloatArray, other: FloatArray) -> FloatArray:
    """Correlation, kept near 0 where one of them is still."""
    a, b = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    return (a * b).mean(axis=1) / ((a.std(axis=1) + 0.004) * (b.std(axis=1) + 0.004))
