"""One file that holds a home, and the home made again from it."""

from pawmesh.backup.create import Made, back_up
from pawmesh.backup.restore import Restored, restore

__all__ = ["Made", "Restored", "back_up", "restore"]
