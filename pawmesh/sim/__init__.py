"""``pawmesh sim``: many simulated collars on a platform that runs, in some processes."""

from pawmesh.sim.command import sim_command
from pawmesh.sim.outcome import Outcome, outcome_of
from pawmesh.sim.screen import Screen
from pawmesh.sim.workforce import Worker, Workforce

__all__ = ["Outcome", "Screen", "Worker", "Workforce", "outcome_of", "sim_command"]
