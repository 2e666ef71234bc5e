"""The references of settings and commands say what the code does."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from cloud.settings import Settings as CloudSettings
from collar_sim.settings import Settings as SimSettings
from dashboard.settings import Settings as DashboardSettings
from gateway.main import Settings as GatewaySettings
from pawmesh import errors

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "docs_settings.py"
    spec = importlib.util.spec_from_file_location("docs_settings", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["settings.md", "cli.md"])
def test_the_generated_parts_are_those_of_the_code(script: ModuleType, name: str) -> None:
    page = (REFERENCE / name).read_text("utf-8")
    assert script.render(page) == page, "run: python scripts/docs_settings.py"


@pytest.mark.parametrize(
    "settings", [GatewaySettings, CloudSettings, SimSettings, DashboardSettings]
)
def test_every_setting_is_documented_and_says_what_it_is(settings: type) -> None:
    page = (REFERENCE / "settings.md").read_text("utf-8")
    prefix = settings.model_config["env_prefix"]
    for name, field in settings.model_fields.items():
        assert f"| `{prefix}{name.upper()}` |" in page
        assert field.description, f"{prefix}{name.upper()} has no docstring"


def test_no_default_names_a_path_of_the_machine_that_wrote_the_page() -> None:
    page = (REFERENCE / "settings.md").read_text("utf-8")
    assert str(ROOT) not in page
    assert str(Path.home()) not in page


def test_every_exit_code_is_explained() -> None:
    page = (REFERENCE / "cli.md").read_text("utf-8")
    codes = {
        each.exit_code
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.PawmeshError)
    }
    for code in {0, 2} | codes:
        assert f"\n| {code} | " in page
