"""What the defining mutations record, what they refuse, and how an alias moves."""

import io
import json
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType, asset_id
from lineage.data import datasets
from lineage.definitions import (
    DefineFeature,
    DefineFeatureSet,
    DefineMetric,
    DefineSearchSpace,
    RegisterModelCode,
    SourceFile,
    define_feature,
    define_feature_set,
    define_metric,
    define_search_space,
    register_model_code,
)
from lineage.errors import Conflict, InvalidInput, LineageError, NotFound
from lineage.files import Files
from lineage.promotion import Promote, promote
from lineage.promotions import before
from lineage.store import Store
from lineage.store.artifacts import ArtifactFilter
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

K = ArtifactKind
LATE = DefineFeature(name="late", sql="dep_delay > 15", source="flights", entity=["flight"])
HOUR = DefineFeature(name="hour", sql="sched // 100", source="flights", entity=["flight"])
CODE = RegisterModelCode(
    name="code",
    entry="model.py:build",
    files=[SourceFile(path="model.py", content="def build(params): ..."), SourceFile(path="a/b.txt", content="x")],
)


@pytest.fixture
async def flights(store: Store, tmp_path: Path) -> Artifact:
    """A small registered dataset."""
    path = tmp_path / "flights.csv"
    path.write_text("flight,sched,dep_delay\n1,515,20\n2,600,-3\n3,715,\n")
    profile = await datasets.profile(str(path), name="flights")
    recorded = await store.artifacts.record([profile.dataset, *profile.columns], profile.edges, now=NOW, by="ann")
    return recorded[0]


async def test_a_feature_is_joined_to_its_columns(store: Store, flights: Artifact) -> None:
    """Defined twice it is one node, which hangs on the column that its SQL reads."""
    first = await define_feature(store, LATE, by="ann", now=NOW)
    again = await define_feature(store, LATE, by="bob", now=NOW)

    assert first == again
    targets = [row["target"] for row in await store.artifacts.dependencies([first.id])]
    names = sorted(each.name for each in (await store.artifacts.by_ids(targets)).values())
    assert "flights.dep_delay" in names
    assert "flights.sched" not in names


@pytest.mark.parametrize(
    ("changes", "offer"),
    [
        ({"source": "flihgts"}, "did you mean 'flights'"),
        ({"sql": "dep_dealy > 15"}, "dep_delay"),
        ({"sql": "features.lat + 1"}, "unknown feature 'lat'"),
        ({"sql": "dep_delay >"}, "it is not SQL"),
        ({"entity": ["fligth"]}, "flight"),
        ({"datasets": {"flights": "0" * 12}}, "unknown dataset"),
    ],
)
async def test_a_feature_that_does_not_resolve_is_refused(
    store: Store, flights: Artifact, changes: dict[str, Any], offer: str
) -> None:
    """An unknown name is answered with the nearest, and no feature is recorded."""
    with pytest.raises(InvalidInput, match=offer):
        await define_feature(store, replace(LATE, **changes), by="ann", now=NOW)
    assert await store.artifacts.count(ArtifactFilter(kinds=[K.FEATURE])) == 0


async def test_a_feature_set_has_features_alone(store: Store, flights: Artifact) -> None:
    """Its members stay in order, and whatever is no feature is refused."""
    hour, late = [await define_feature(store, each, by="ann", now=NOW) for each in (HOUR, LATE)]

    made = await define_feature_set(
        store, DefineFeatureSet(name="set", features=[hour.id], label=late.id), by="ann", now=NOW
    )

    assert (["hour"], "late") == (made.body["names"], made.body["label_name"])
    for wrong in (flights.id, "feature_none"):
        with pytest.raises(InvalidInput, match="no feature with the id"):
            await define_feature_set(store, DefineFeatureSet(name="set", features=[wrong]), by="ann", now=NOW)


async def test_code_is_kept_whole(store: Store, tmp_path: Path) -> None:
    """The archive holds the files as given; the same files in another order are the same code."""
    files = Files(str(tmp_path / "artifacts"))
    code = await register_model_code(store, files, CODE, by="ann", now=NOW)
    again = await register_model_code(store, files, replace(CODE, files=CODE.files[::-1]), by="bob", now=NOW)

    assert code == again
    with tarfile.open(fileobj=io.BytesIO(await files.read(code.body["archive"]))) as archive:
        assert ["a/b.txt", "model.py"] == archive.getnames()


async def test_code_comes_from_its_notebook(store: Store, tmp_path: Path) -> None:
    """The notebook is a version by its cells alone: running it changes nothing, and what came out of it is not kept."""
    files = Files(str(tmp_path / "artifacts"))
    cell: dict[str, Any] = {"cell_type": "code", "source": ["x = 1\n", "x"], "outputs": [], "execution_count": None}
    text = {"nbformat": 4, "metadata": {}, "cells": [cell]}
    cell_run = {**cell, "outputs": [{"text": "a row of data"}], "execution_count": 7}

    fresh, run = (
        replace(CODE, notebook=SourceFile(path="work/try.ipynb", content=json.dumps({**text, "cells": [each]})))
        for each in (cell, cell_run)
    )
    code = await register_model_code(store, files, fresh, by="ann", now=NOW)
    assert code == await register_model_code(store, files, run, by="bob", now=NOW)
    assert code != await register_model_code(store, files, CODE, by="ann", now=NOW)

    (notebook,) = await store.artifacts.page(ArtifactFilter(kinds=[K.NOTEBOOK]), first=9)
    (below,) = await store.artifacts.dependencies([code.id])
    assert notebook.id in str(below)
    assert ("try", 1, "python") == (notebook.name, notebook.body["cells"], notebook.body["language"])
    assert b'{"cells":[{"cell_type":"code","source":"x = 1\\nx"}],"language":"python"}' == await files.read(
        notebook.body["file"]
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"notebook": SourceFile(path="a.ipynb", content="print()")}, "notebook"),
        ({"notebook": SourceFile(path="a.ipynb", content='{"nbformat": 3}')}, "notebook"),
        ({"notebook": SourceFile(path="a.ipynb", content='{"nbformat": 4}')}, "notebook"),
        ({"entry": "model.py"}, "entry"),
        ({"entry": "modle.py:build"}, "entry"),
        ({"entry": "model.py:not a name"}, "entry"),
        ({"contract": "biuld"}, "contract"),
        ({"files": [*CODE.files, CODE.files[0]]}, "files"),
        ({"files": [*CODE.files, SourceFile(path="../up", content="")]}, "files"),
        ({"files": [*CODE.files, SourceFile(path="/root", content="")]}, "files"),
        ({"files": [*CODE.files, SourceFile(path="a//b", content="")]}, "files"),
        ({"files": [*CODE.files, SourceFile(path="b", content="no base64!", is_base64=True)]}, "files"),
        ({"files": [*CODE.files, SourceFile(path="b", content="x" * (8 * 1024 * 1024))]}, "files"),
    ],
)
async def test_bad_code_is_refused(store: Store, tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    """The error names what is wrong, and nothing is kept."""
    files = Files(str(tmp_path / "artifacts"))

    with pytest.raises(InvalidInput) as caught:
        await register_model_code(store, files, replace(CODE, **changes), by="ann", now=NOW)

    assert field == caught.value.field
    assert await store.artifacts.count(ArtifactFilter()) == 0


async def test_code_for_a_feature_set_that_is_not_there_is_refused(store: Store, tmp_path: Path) -> None:
    """What the code requires must be known."""
    with pytest.raises(NotFound):
        await register_model_code(store, Files(str(tmp_path)), replace(CODE, feature_set="none"), by="ann", now=NOW)


async def test_a_space_is_recorded_in_its_canonical_form(store: Store) -> None:
    """Spelled-out defaults make no other version."""
    c = {"type": "float", "low": 1, "high": 2}
    spaces = [DefineSearchSpace(name="s", parameters={"C": each}) for each in (c, {**c, "log": False})]

    one, other = [await define_search_space(store, each, by="ann", now=NOW) for each in spaces]

    assert one == other


async def test_a_metric_knows_which_way_is_better(store: Store) -> None:
    """Its direction is that of the metric; an unknown one is offered the nearest."""
    made = await define_metric(store, DefineMetric(name="loss", metric="log_loss", threshold=0.3), by="ann", now=NOW)

    assert (False, 0.3) == (made.body["greater_is_better"], made.body["threshold"])
    with pytest.raises(InvalidInput, match="did you mean 'roc_auc'"):
        await define_metric(store, DefineMetric(name="auc", metric="roc-auc"), by="ann", now=NOW)
    with pytest.raises(InvalidInput, match="finite"):
        await define_metric(store, DefineMetric(name="f", metric="f1", threshold=float("nan")), by="ann", now=NOW)


Evaluated = Callable[..., Awaitable[Artifact]]


@pytest.fixture
def evaluated(store: Store) -> Evaluated:
    """Records a version of a model with an evaluation that reached its bar, missed it, had none, or is not there."""

    async def record(number: int, passed: bool | None, *, has: bool = True) -> Artifact:
        model = Artifact.defined(K.MODEL, "delays", {"number": number})
        verdicts = [] if passed is None else [{"metric": "f1", "value": 0.5, "threshold": 0.6, "passed": passed}]
        evaluation = Artifact.defined(K.EVALUATION, "e", {"n": number, "verdicts": verdicts, "passed": passed})
        edge = Edge(type=EdgeType.EVALUATED_BY, source=model.id, target=evaluation.id)
        nodes, edges = ([model, evaluation], [edge]) if has else ([model], [])
        return (await store.artifacts.record(nodes, edges, now=NOW, by="ann"))[0]

    return record


async def test_a_model_that_passed_is_promoted(store: Store, evaluated: Evaluated) -> None:
    """The alias moves, the former model is named, and the history has both."""
    first, second = await evaluated(1, True), await evaluated(2, True)
    await promote(store, Promote(model=first.id), by="ann", now=NOW)

    promotion = await promote(store, Promote(model=second.id), by="bob", now=NOW)

    assert first.id == promotion.former
    assert second == await store.artifacts.get(K.MODEL, "delays", version="@champion")
    history = await store.artifacts.alias_history(promotion.asset)
    assert {(first.id, NOW), (second.id, None)} == {(each["artifact"], each.get("until")) for each in history}
    assert all(each["reason"].startswith("passed in evaluation_") for each in history)


@pytest.mark.parametrize(
    ("passed", "has", "message"),
    [(False, True, r"f1 0.5 \(threshold 0.6\)"), (None, True, "no metric"), (True, False, "never evaluated")],
)
async def test_what_has_not_passed_is_refused(
    store: Store, evaluated: Evaluated, passed: bool | None, has: bool, message: str
) -> None:
    """Below the bar, without a bar, and without evaluation: only force with a reason moves the alias."""
    model = await evaluated(1, passed, has=has)

    with pytest.raises(Conflict, match=message):
        await promote(store, Promote(model=model.id), by="ann", now=NOW)
    for reason in (None, "", "  "):
        with pytest.raises(InvalidInput, match="say why"):
            await promote(store, Promote(model=model.id, force=True, reason=reason), by="ann", now=NOW)
    assert {} == await store.artifacts.aliases([model.id])

    await promote(store, Promote(model=model.id, force=True, reason="a drill"), by="ann", now=NOW)
    assert {model.id: ["champion"]} == await store.artifacts.aliases([model.id])


async def test_what_cannot_be_promoted(store: Store, evaluated: Evaluated) -> None:
    """A retracted model, something that is no model, and an alias with odd characters are refused."""
    model = await evaluated(1, True)
    errors: list[tuple[type[LineageError], Promote]] = [
        (InvalidInput, Promote(model=model.id, alias="no spaces")),
        (InvalidInput, Promote(model=model.id, alias="")),
        (InvalidInput, Promote(model=model.id, alias="x" * 101)),
        (NotFound, Promote(model="model_none")),
    ]
    for error, input in errors:
        with pytest.raises(error):
            await promote(store, input, by="ann", now=NOW)
    await store.artifacts.retract(model.id, reason="leak", now=NOW)
    with pytest.raises(Conflict, match="leak"):
        await promote(store, Promote(model=model.id, force=True, reason="x"), by="ann", now=NOW)


async def test_of_two_that_saw_the_same_champion_one_wins(store: Store, evaluated: Evaluated) -> None:
    """With what was seen the alias moves once, to whoever was first; saying so again changes nothing."""
    models = [await evaluated(number, True) for number in range(5)]
    told: list[str] = []

    async def attempt(model: Artifact, expected: str) -> None:
        try:
            await promote(store, Promote(model=model.id, expected=expected), by="ann", now=NOW)
        except Conflict as error:
            told.append(str(error))

    seen = ""  # nothing yet
    for round in range(2):
        async with anyio.create_task_group() as tasks:
            for model in models:
                tasks.start_soon(attempt, model, seen)
        champion = await store.artifacts.get(K.MODEL, "delays", version="@champion")
        assert champion is not None
        assert 4 * (round + 1) == len([each for each in told if "it was moved since you looked" in each])
        await attempt(champion, seen)  # a caller that did not hear the answer
        seen, models = champion.id, [*(each for each in models if each != champion), await evaluated(9, True)]

    history = await store.artifacts.alias_history(asset_id(K.MODEL, "default", "delays"))
    assert 8 == len(told)
    assert 2 == len(history)


async def test_a_clock_that_is_behind_turns_no_interval_round(store: Store, evaluated: Evaluated) -> None:
    """What is promoted later stands later, even where the promoting machine's clock is behind."""
    first, second = await evaluated(1, True), await evaluated(2, True)
    await promote(store, Promote(model=first.id), by="ann", now=NOW)
    await promote(store, Promote(model=second.id), by="bob", now=NOW - timedelta(hours=1))

    held = await store.promotions.held(asset_id(K.MODEL, "default", "delays"), "champion")
    assert [NOW, NOW] == [each.since for each in held]
    assert [first.id] == before(held)
