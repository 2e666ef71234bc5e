"""What can be wrong with a recording."""

from collar_sim.errors import SimulatorError


class RecordingError(SimulatorError):
    """The recording cannot be replayed. The message names the column and the option to give."""
