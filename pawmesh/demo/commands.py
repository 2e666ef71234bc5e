"""``pawmesh demo``: the command."""

from datetime import timedelta
from pathlib import Path

from pawmesh.console import print_json
from pawmesh.demo.report import show_report
from pawmesh.demo.run import run_demo
from pawmesh.options import NOTHING_SPECIAL, Common, Duration, Whole


async def demo_command(
    *,
    collars: Whole = 20,
    seed: Whole = 1,
    history: Duration = timedelta(hours=2),
    report: Path | None = None,
    common: Common = NOTHING_SPECIAL,
) -> int:
    """See the whole loop in a few minutes, and have it counted.

    Collars publish, the gateway stores and alerts, the owner's grants decide what leaves, the
    cloud stores and pays. In the end every message is looked for in both stores. Exit code 0 means
    that nothing was lost or doubled and every step was seen.

    Args:
        collars: How many take part.
        seed: Of the animals; another seed gives other numbers.
        history: How far in the past they begin.
        report: File for the numbers, as JSON.
        common: What every command takes. Without --data-dir a new folder is made, and kept.
    """
    found = await run_demo(
        common.data_dir, collars=collars, seed=seed, history=history, report_file=report
    )
    if common.json:
        print_json(found)
    else:
        show_report(found)
    return 0 if all(found["steps"].values()) else 1
