"""The demo's owner: looks at what the pets really do, and answers for it.

It has the simulator's ground truth for eyes, and says about every longer bout what the pet did,
whether the collar was right or wrong. People answer less; what they answer is of the same kind.
A night's sleep takes several answers, since none may span more than an hour.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from gateway.wire.uplink import MAX_LABEL_S
from pawmesh.house import require

LEAST_S = 8  # a shorter bout is over before anybody has said what it was


@dataclass(frozen=True)
class Bout:
    """A stretch of time in which a pet did one thing."""

    collar_id: str
    start_at: datetime
    end_at: datetime
    behaviour: str


def bouts(truth: Path, collar_ids: Iterable[str], least_s: int = LEAST_S) -> list[Bout]:
    """What some pets really did, as far as it has been written; no piece longer than an answer.

    Args:
        truth: The simulator's folder of ground truth.
        collar_ids: Whose.
        least_s: Shorter bouts go unseen.
    """
    parquet: Any = import_module("pyarrow.parquet")  # of the training set, as all of this is
    wanted = set(collar_ids)
    found: list[Bout] = []
    for path in sorted(truth.glob("truth-*.parquet")):
        table = parquet.read_table(path, columns=["collar_id", "at", "behaviour"])
        whose = np.asarray(table["collar_id"].to_numpy(zero_copy_only=False), str)
        at_us = table["at"].cast("int64").to_numpy()
        behaviour = np.asarray(table["behaviour"].to_numpy(zero_copy_only=False), str)
        for collar_id in sorted(wanted & set(np.unique(whose).tolist())):
            mine = whose == collar_id
            order = np.argsort(at_us[mine], kind="stable")
            found += _runs(collar_id, at_us[mine][order], behaviour[mine][order], least_s)
    return found


def seen_until(truth: Path) -> datetime | None:
    """Up to when it has been written what really happened; None before the first of it."""
    parquet: Any = import_module("pyarrow.parquet")
    found: list[datetime] = []
    for path in truth.glob("truth-*.parquet"):
        groups = parquet.ParquetFile(path).metadata
        column = groups.schema.names.index("at")
        found += [
            groups.row_group(number).column(column).statistics.max
            for number in range(groups.num_row_groups)
        ]
    return max(found, default=None)


def _runs(collar_id: str, at_us: Any, behaviour: Any, least_s: int) -> Iterator[Bout]:
    """Runs of one behaviour in seconds that follow each other."""
    breaks = (behaviour[1:] != behaviour[:-1]) | (np.diff(at_us) != 1_000_000)
    edges = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(at_us)]
    most_s = int(MAX_LABEL_S)
    for first, end in pairwise(edges):
        for start in range(first, end, most_s):
            length_s = min(end - start, most_s)
            if length_s >= least_s:
                start_at = datetime.fromtimestamp(at_us[start] / 1e6, UTC)
                end_at = start_at + timedelta(seconds=length_s)
                yield Bout(collar_id, start_at, end_at, str(behaviour[start]))


def answer(gateway: httpx2.Client, pet_of: dict[str, str], seen: Iterable[Bout]) -> int:
    """Tell the gateway what the pets did; returns how many answers may be shared.

    Args:
        gateway: Its API, as owner.
        pet_of: The pet by collar.
        seen: What to tell.
    """
    shared = 0
    for bout in seen:
        body = {
            "start_at": bout.start_at.isoformat(),
            "end_at": bout.end_at.isoformat(),
            "behaviour": bout.behaviour,
        }
        path = f"/v1/pets/{pet_of[bout.collar_id]}/corrections"
        shared += bool(require(gateway.post(path, json=body))["shared"])
    return shared
