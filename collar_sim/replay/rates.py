"""Whether the clock of a recording agrees with the rate that the user gave."""

from dataclasses import dataclass

from collar_sim.replay.errors import RecordingError

TOLERANCE = 0.10  # one good logger, asked for 16.4 Hz, delivers 17.4 in half of its sessions
AGREES = 0.002  # what clocks at both ends of a minute are wrong by
SLOWEST_HZ, FASTEST_HZ = 6.0, 2_000.0  # a dog's strides are up to 3 a second: Nyquist
NAMED = 8  # sessions in one message


@dataclass(frozen=True)
class Measured:
    """A session's rate by its own clock."""

    session: str
    rate_hz: float | None
    """None where it is too short to tell, or has no clock."""
    uneven_hz: tuple[float, float] | None = None


def rates_of(sessions: list[Measured], asked_hz: float | None, column: str | None) -> list[float]:
    """Each session's rate: its own where its clock tells, else the one that was asked for.

    Args:
        sessions: As measured.
        asked_hz: What the user says; None to believe the clock alone.
        column: The time column, for the message.

    Raises:
        RecordingError: Clock and user contradict each other, or no rate is known.

    >>> rates_of([Measured("a", 16.5), Measured("b", None)], 16.4, "t")
    [16.5, 16.4]
    """
    if asked_hz is not None:
        _require_usable(asked_hz, "--rate-hz")
    for each in sessions:
        if each.uneven_hz is not None:
            low, high = each.uneven_hz
            raise RecordingError(
                f"column {column}: session {each.session} holds samples at {low:.4g} Hz and at "
                f"{high:.4g} Hz. Give the parts sessions of their own (--session-column), "
                "then use --rate-hz auto"
            )
    if asked_hz is None:
        return _by_clock(sessions, column)
    wrong = [s for s in sessions if s.rate_hz and abs(s.rate_hz / asked_hz - 1) > TOLERANCE]
    if wrong:
        raise RecordingError(_contradiction(sessions, wrong, asked_hz, column))
    measured = [each.rate_hz or asked_hz for each in sessions]
    return [asked_hz if abs(hz / asked_hz - 1) <= AGREES else hz for hz in measured]


def _by_clock(sessions: list[Measured], column: str | None) -> list[float]:
    known = sorted(each.rate_hz for each in sessions if each.rate_hz)
    if not known:
        raise RecordingError(
            f"column {column} does not tell the rate: the sessions are too short. "
            "Give it, as --rate-hz 50"
        )
    for rate_hz in (known[0], known[-1]):
        _require_usable(rate_hz, f"column {column}")
    return [each.rate_hz or known[len(known) // 2] for each in sessions]


def _contradiction(
    sessions: list[Measured], wrong: list[Measured], asked_hz: float, column: str | None
) -> str:
    known = sorted(each.rate_hz for each in sessions if each.rate_hz)
    middle_hz = known[len(known) // 2]
    if known[-1] <= known[0] * (1 + TOLERANCE):
        if not SLOWEST_HZ <= middle_hz <= FASTEST_HZ:
            _require_usable(middle_hz, f"column {column}")
        return (
            f"column {column} says {middle_hz:.4g} samples a second, not {asked_hz:g}. "
            f"Give --rate-hz {middle_hz:.4g} (or auto). If that cannot be, several recordings may "
            "be mixed: name the column that tells them apart with --session-column"
        )
    listed = ", ".join(f"{each.session}: {each.rate_hz:.4g} Hz" for each in wrong[:NAMED])
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return (
        f"column {column}: {len(wrong)} of {len(sessions)} sessions do not have {asked_hz:g} "
        f"samples a second ({listed}{more}). Give --rate-hz auto to take each at its own rate"
    )


def _require_usable(rate_hz: float, where: str) -> None:
    if not SLOWEST_HZ <= rate_hz <= FASTEST_HZ:
        raise RecordingError(
            f"{where}: {rate_hz:.4g} samples a second; motion can be replayed from "
            f"{SLOWEST_HZ:g} to {FASTEST_HZ:g} Hz. If samples come slower than that, gait cannot "
            "be seen in them; if the time column is wrong, name another with --time-column"
        )
