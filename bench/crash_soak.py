"""kill -9 of every process of the platform, brokers included, again and again under load.

``SOAK=50`` kills each collar process, broker, gateway and cloud 50 times for each make of broker,
and the database once; without it, 5 times. What counts is what is lost or doubled after it: the
bar is none at all.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path

from bench.report import Figure, run
from tests.system.soak import Make, soak

ROUNDS = int(os.environ.get("SOAK", "5"))
SEED = int(os.environ.get("SOAK_SEED", "1"))


def measure() -> list[Figure]:
    """Messages lost or doubled by killing every process, for each make of broker."""
    return [_measure(make) for make in Make]


def _measure(make: Make) -> Figure:
    folder = Path(tempfile.mkdtemp(prefix="pawmesh-soak-"))
    soaked = asyncio.run(soak(folder, make, ROUNDS, SEED))
    found = soaked.found
    wrong = found.lost + found.duplicates
    passed = wrong == 0 and found.acknowledged == found.published
    if passed:  # else it is there to be looked at
        shutil.rmtree(folder)
    held = 1 - wrong / found.published
    kills = ", ".join(f"{name} {times}" for name, times in sorted(soaked.kills.items()))
    return Figure(
        name=f"crash_soak_{make}",
        value=wrong,
        unit="messages lost or doubled",
        baseline=found.published,
        ratio=held,
        bar=1.0,
        passed=passed,
        n=soaked.kills.total(),
        notes=f"killed: {kills}, in {soaked.seconds:.0f} s; {soaked.flowed} messages published "
        f"between the kills; of {found.published} the gateway holds {found.stored_gateway} and "
        f"acknowledged {found.acknowledged}, the cloud holds {found.stored_cloud}; "
        f"owed {len(found.owed)}, "
        f"acknowledged and not stored {len(found.acknowledged_not_stored)}, "
        f"granted and not in the cloud {len(found.granted_not_in_cloud)}, "
        f"of other content {len(found.other_content)}, doubled {found.duplicates}; seed {SEED}"
        + ("" if passed else f"; its data is in {folder}"),
    )


if __name__ == "__main__":
    sys.exit(run(measure))
