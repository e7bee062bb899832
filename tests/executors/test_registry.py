"""Executors by name."""

from pathlib import Path

import pytest

from executors import registry
from executors.process import ProcessExecutor
from lineage.errors import InvalidInput
from lineage.settings import Settings


def test_load(tmp_path: Path) -> None:
    """The process executor is there under its name."""
    assert isinstance(registry.load("process", Settings(home=tmp_path)), ProcessExecutor)
    assert "process" in registry.names()


def test_unknown(tmp_path: Path) -> None:
    """An unknown name offers the nearest."""
    with pytest.raises(InvalidInput) as caught:
        registry.load("proces", Settings(home=tmp_path))

    assert "process" == caught.value.nearest[0]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_module.at_all:It", "there is no module 'no_such_module.at_all'"),
        ("lacking:It", "needs the package of 'not_to_be_had'"),
        ("failing:It", "importing 'failing' fails: on purpose"),
        ("empty:It", "'empty' has no 'It'"),
    ],
)
def test_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, said: str) -> None:
    """A missing module, a missing package of its own, and an import that fails are told apart."""
    (tmp_path / "lacking.py").write_text("import not_to_be_had")
    (tmp_path / "failing.py").write_text("raise ImportError('on purpose')")
    (tmp_path / "empty.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry.BUILT_IN, "bad", target)

    with pytest.raises(InvalidInput, match=said):
        registry.load("bad", Settings(home=tmp_path))
