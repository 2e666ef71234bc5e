"""The cards of the shipped models say what training wrote of them."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(SCRIPTS))  # where plots is
    try:
        spec = importlib.util.spec_from_file_location("docs_models", SCRIPTS / "docs_models.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(SCRIPTS))


@pytest.mark.parametrize("package", ["activity", "anomaly"])
def test_pages_and_pictures_are_those_of_the_card(script: ModuleType, package: str) -> None:
    for path, text in script.render(package).items():
        assert path.read_text("utf-8") == text, "run: python scripts/docs_models.py"


def test_a_curve_has_its_points_where_they_belong(script: ModuleType) -> None:
    drawn = ElementTree.fromstring(script.plots.curve([(0.0, 0.0), (1.0, 0.2)], "x", "y"))
    [line] = drawn.iter("{http://www.w3.org/2000/svg}polyline")
    assert line.get("points") == "48.0,252.0 252.0,48.0"


def test_shades_are_shares_of_each_row(script: ModuleType) -> None:
    drawn = ElementTree.fromstring(script.plots.heat(["walk", "run"], [[3, 1], [0, 0]]))
    shades = [each.get("fill-opacity") for each in drawn.iter() if each.get("fill-opacity")]
    assert shades == ["0.750", "0.250", "0.000", "0.000"]
