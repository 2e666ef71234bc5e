"""What a data folder says of itself."""

from pathlib import Path

import pytest

from pawmesh.house import House, NotRunning, default_data_dir


def test_what_does_not_run_is_started_on_the_folder_that_was_asked_for(tmp_path: Path) -> None:
    house = House(tmp_path / "my home")
    start = f"pawmesh up --data-dir '{tmp_path / 'my home'}'"
    with pytest.raises(NotRunning, match="Start it: pawmesh up --data-dir"):
        house.running()
    assert house.start == start


def test_the_users_own_folder_needs_no_naming() -> None:
    assert House(default_data_dir()).start == "pawmesh up"
