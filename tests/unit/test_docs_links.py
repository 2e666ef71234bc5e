"""Links between the pages lead somewhere, and the commands that the README shows exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|srcset)=\"([^\"]+)\"")
COMMAND = re.compile(r"\bpawmesh ((?:[a-z]+ ?)+)")
TARGET = re.compile(r"\bmake ([a-z]+)\b")


def links_of(page: Path) -> list[str]:
    """Where a page's links lead, those inside code aside."""
    return [a or b for a, b in LINK.findall(FENCE.sub("", page.read_text("utf-8")))]


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def readme_code() -> str:
    """What the README shows as code, in blocks and in lines."""
    text = (ROOT / "README.md").read_text("utf-8")
    return "\n".join(FENCE.findall(text) + re.findall(r"`([^`\n]+)`", FENCE.sub("", text)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_page_of_ours(page: Path) -> None:
    for link in links_of(page):
        if re.match(r"[a-z]+:", link):
            continue  # another site
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        assert target.is_relative_to(ROOT), f"{link} leads out of the checkout"
        if anchor:
            assert anchor in anchors_of(target), f"{link}: no such heading"


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links_of(index)}
    missing = set((ROOT / "docs").rglob("*.md")) - linked - {index}
    assert not missing, f"docs/README.md does not link {sorted(map(str, missing))}"


@pytest.mark.parametrize("command", sorted({c.strip() for c in COMMAND.findall(readme_code())}))
def test_every_command_of_the_readme_exists(command: str) -> None:
    asked = [sys.executable, "-m", "pawmesh", *command.split(), "--help"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"pawmesh {command}" in done.stdout, "that is the help of another command"


def test_every_target_of_make_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(TARGET.findall(readme_code()))
    assert {"run", "test"} <= named <= targets
