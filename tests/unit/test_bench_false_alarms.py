"""What few alarms in little time say about how many there will be."""

from collections import Counter
from pathlib import Path

import pytest

import plugins
from bench.false_alarms import Watched, _figure
from collar_sim.firmware.models.slots import ModelSlots


@pytest.mark.parametrize(
    ("alarms", "days", "says"),
    [(0, 0.71, "0 alarms: with 95 % confidence below 4.2 a day"),
     (2, 6.0, "2 alarms: with 95 % confidence below 1 a day")],
)  # fmt: skip
def test_alarms_that_came_widen_what_may_be_expected(alarms: int, days: float, says: str):
    slots = ModelSlots.load(Path(plugins.__path__[0]))
    figure = _figure("name", [Watched("rex", days, Counter(anomaly=alarms))], slots)
    assert says in figure.notes
    assert figure.value == alarms / days
