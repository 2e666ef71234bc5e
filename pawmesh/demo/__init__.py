"""``pawmesh demo``: the whole loop, from published to paid to learned; in minutes, and counted."""

from pawmesh.demo.cast import Cast, prepare
from pawmesh.demo.report import show_report
from pawmesh.demo.run import run_demo, wait_until_settled

__all__ = ["Cast", "prepare", "run_demo", "show_report", "wait_until_settled"]
