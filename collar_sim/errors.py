"""What can be wrong with a simulated fleet, and what to do about it."""


class SimulatorError(Exception):
    """Base of all errors of the simulator."""


class FleetFileError(SimulatorError):
    """The fleet file cannot be read; the message says where. Write it anew."""


class CollarRefused(SimulatorError):
    """One collar of the fleet cannot run; the others do. The message names the field to correct."""


class OutputError(SimulatorError):
    """A report, or the truth, cannot be written where it shall be. Name another place."""


class FlashError(SimulatorError):
    """The fleet's flash file cannot be used: damaged, of another program, or in use by another.

    End the other simulator, or give another ``--data-dir``.
    """


class FlashNewer(FlashError):
    """A newer Pawmesh wrote the fleet's flash. Update Pawmesh, or give another ``--data-dir``."""
