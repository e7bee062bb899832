"""The documentation keeps up: what there is stands in it, and its examples run."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from lineage import errors
from lineage.artifacts import ArtifactKind, EdgeType
from lineage.metrics import known_metrics
from lineage.runs import RunKind, RunState
from lineage.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXT = "\n".join(page.read_text() for page in PAGES)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", [f"LINEAGE_{field.name.upper()}" for field in fields(Settings)])
def test_every_setting_is_documented(name: str) -> None:
    """A setting that stands nowhere does not exist for its users."""
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("word", [each.value for kind in (ArtifactKind, EdgeType, RunKind, RunState) for each in kind])
def test_every_kind_edge_and_state_is_documented(word: str) -> None:
    """Whatever a user meets in the graph is explained."""
    assert f"`{word}`" in TEXT


def test_every_error_code_is_documented() -> None:
    """Each code that an error of ours carries stands in the table of errors."""
    waiting, codes = [errors.LineageError], set()
    while waiting:
        each = waiting.pop()
        codes.add(each.code)
        waiting += each.__subclasses__()

    assert [] == sorted(code for code in codes if f"`{code}`" not in TEXT)


def test_every_metric_is_documented() -> None:
    """Each metric that may be named is named in the documentation."""
    assert [] == sorted(name for name in known_metrics() if f"`{name}`" not in TEXT)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_the_documentation_runs(page: Path) -> None:
    """Every block of Python does what it says, or at least does not fail."""
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), {})


def test_the_readme_is_short_and_begins_with_the_two_commands() -> None:
    """The main job, then the tests: each one line that can be pasted."""
    commands = blocks(ROOT / "README.md", "sh")[:2]

    assert [1, 1] == [len(command.strip().splitlines()) for command in commands]
    assert "lineage demo" in commands[0]
    assert "pytest" in commands[1]
    assert len((ROOT / "README.md").read_text().splitlines()) <= 140
