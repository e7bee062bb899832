"""What differs between two artifacts, and what they have in common."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage import trees
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.changes import Change
from lineage.comparison import Comparison, compare, differences
from lineage.diffs import COMPARED, FILES, LINES, between
from lineage.errors import InvalidInput, NotFound
from lineage.files import Files
from lineage.store import Store
from lineage.store.questions import LINEAGE
from tests.conftest import NOW
from tests.store.oracle import World, some_worlds

K, E = ArtifactKind, EdgeType

ALLOWED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors]
store_tests = [pytest.mark.anyio, pytest.mark.neo4j]
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["a", "b"]))
SIDES = st.fixed_dictionaries({"data": st.dictionaries(st.sampled_from("xyz"), VALUES)})


@given(SIDES)
def test_nothing_differs_from_itself(side: Mapping[str, Mapping[str, Any]]) -> None:
    """A description compared with itself has no difference."""
    assert [] == list(differences(side, side))


@given(SIDES, SIDES)
def test_the_other_way_round(a: Mapping[str, Mapping[str, Any]], b: Mapping[str, Mapping[str, Any]]) -> None:
    """Turned round, what was added is removed, values change places, and deltas their sign."""
    turned = {Change.ADDED: Change.REMOVED, Change.REMOVED: Change.ADDED, Change.CHANGED: Change.CHANGED}
    there = [(turned[each.change], each.name, each.b, each.a, each.delta) for each in differences(a, b)]
    back = [(e.change, e.name, e.a, e.b, None if e.delta is None else -e.delta) for e in differences(b, a)]
    assert there == back


def defined(kind: ArtifactKind, name: str, version: str, /, **body: Any) -> Artifact:
    """An artifact recorded by hand."""
    return Artifact(kind=kind, name=name, version=version, digest=version * 8, body=body)


async def pair(store: Store, files: Files) -> tuple[Artifact, Artifact]:
    """Two models of one dataset, with other code, packages, values and metrics."""
    data = defined(K.DATASET, "d", "1", row_count=3)
    column = defined(K.COLUMN, "d.x", "1", type="BIGINT", statistics={"mean": 2.0})
    training_set = defined(K.TRAINING_SET, "t", "1", split={"by": "HASH"}, splits={"train": {"rows": 2}})
    edges = [
        Edge(type=E.DERIVED_FROM, source=column.id, target=data.id),
        Edge(type=E.DERIVED_FROM, source=training_set.id, target=data.id),
    ]
    nodes, models = [data, column, training_set], []
    for version, c, f1, package in (("1", 1, 0.5, "1.4"), ("2", 2, 0.75, "1.5")):
        source = f"C = {c}\nprint(C)\n".encode()
        archive = await files.put_bytes(trees.pack([("model.py", source), *([("new.bin", b"\xff")] if c == 2 else [])]))
        code = defined(K.MODEL_CODE, "code", version, archive=archive.sha256)
        environment = defined(K.ENVIRONMENT, "env", version, language="python", version="3.11")
        library = defined(K.PACKAGE, "scikit-learn", package)
        values = defined(K.HYPERPARAMETERS, "h", version, values={"C": c, "solver": "lbfgs"})
        score = defined(K.EVALUATION, f"e{version}", version, split="test", values={"f1": f1})
        model = defined(K.MODEL, "m", version, task="classification")
        nodes += [code, environment, library, values, score, model]
        edges += [
            Edge(type=E.DERIVED_FROM, source=model.id, target=code.id),
            Edge(type=E.DERIVED_FROM, source=model.id, target=values.id),
            Edge(type=E.RUNS_IN, source=model.id, target=environment.id),
            Edge(type=E.INCLUDES, source=environment.id, target=library.id),
            Edge(type=E.TRAINED_ON, source=model.id, target=training_set.id),
            Edge(type=E.EVALUATED_BY, source=model.id, target=score.id),
        ]
        models.append(model)
    await store.artifacts.record(nodes, edges, now=NOW, by="ann")
    return models[0], models[1]


def said(found: Comparison) -> list[tuple[Any, ...]]:
    """The differences as rows."""
    return [(each.section, each.name, each.change.value, each.a, each.b, each.delta) for each in found.differences]


class TestInTheGraph:
    """Comparisons of what is recorded."""

    pytestmark = store_tests

    async def test_two_models(self, store: Store, tmp_path: Path) -> None:
        """Each value that differs stands once, under its section; what is equal does not stand at all."""
        files = Files(str(tmp_path / "files"))
        a, b = await pair(store, files)

        found = await compare(store, a.id, b.id, files=files)

        assert [
            ("code", "code.digest", "CHANGED", "1" * 8, "2" * 8, None),
            ("environment", "scikit-learn", "CHANGED", "1.4", "1.5", None),
            ("hyperparameters", "C", "CHANGED", 1, 2, 1.0),
            ("metrics", "test.f1", "CHANGED", 0.5, 0.75, 0.25),
            ("artifact", "digest", "CHANGED", "1" * 8, "2" * 8, None),
            ("code", "code/model.py", "CHANGED", None, None, None),
            ("code", "code/new.bin", "ADDED", None, None, None),
        ] == said(found)
        texts = {each.name: each.text for each in found.differences if each.text}
        assert "-C = 1\n+C = 2\n print(C)" in str(texts["code/model.py"])
        assert "no text" in str(texts["code/new.bin"])
        assert found.complete

    async def test_each_part_of_two_models(self, store: Store) -> None:
        """Rows, types and statistics of columns, split, features, space and packages are all looked at."""
        a, b = defined(K.MODEL, "m", "1"), defined(K.MODEL, "m", "2")
        nodes: list[Artifact] = [a, b]
        edges: list[Edge] = []
        for model, rows, type_, mean, by, sql, low, packages in (
            (a, 3, "BIGINT", 2.0, "HASH", "x > 1", 0.1, ["left", "both"]),
            (b, 5, "DOUBLE", 2.5, "TIME", "x > 2", 0.2, ["both", "right"]),
        ):
            one = model.version
            data = defined(K.DATASET, "d", one, row_count=rows)
            column = defined(K.COLUMN, "d.x", one, type=type_, statistics={"mean": mean, "nulls": 0})
            feature = defined(K.FEATURE, "f", one, expression=sql, source="d")
            features = defined(K.FEATURE_SET, "fs", one, label_name="y")
            splits = {"train": {"rows": rows - 1}, "test": {"rows": 1}}
            training_set = defined(K.TRAINING_SET, "t", one, split={"by": by}, splits=splits)
            space = defined(K.SEARCH_SPACE, "s", one, parameters={"C": {"low": low}})
            values = defined(K.HYPERPARAMETERS, "h", one, values={"C": 1})
            environment = defined(K.ENVIRONMENT, "env", one, language="python", version=f"3.1{one}")
            locked = [defined(K.PACKAGE, name, "1") for name in packages]
            nodes += [data, column, feature, features, training_set, space, values, environment, *locked]
            edges += [
                Edge(type=E.DERIVED_FROM, source=source.id, target=target.id)
                for source, target in (
                    (column, data),
                    (feature, column),
                    (features, feature),
                    (training_set, features),
                    (training_set, data),
                    (values, space),
                    (model, values),
                )
            ]
            edges += [Edge(type=E.TRAINED_ON, source=model.id, target=training_set.id)]
            edges += [Edge(type=E.RUNS_IN, source=model.id, target=environment.id)]
            edges += [Edge(type=E.INCLUDES, source=environment.id, target=each.id) for each in locked]
        await store.artifacts.record(nodes, edges, now=NOW, by="ann")

        found = await compare(store, a.id, b.id)

        assert [
            ("data", "d.digest", "CHANGED", "1" * 8, "2" * 8, None),
            ("data", "d.rows", "CHANGED", 3, 5, 2.0),
            ("data", "d.x.mean", "CHANGED", 2.0, 2.5, 0.5),
            ("data", "d.x.type", "CHANGED", "BIGINT", "DOUBLE", None),
            ("data", "split", "CHANGED", {"by": "HASH"}, {"by": "TIME"}, None),
            ("data", "train.rows", "CHANGED", 2, 4, 2.0),
            ("features", "f", "CHANGED", "x > 1", "x > 2", None),
            ("environment", "language", "CHANGED", "python 3.11", "python 3.12", None),
            ("environment", "left", "REMOVED", "1", None, None),
            ("environment", "right", "ADDED", None, "1", None),
            ("search", "C", "CHANGED", {"low": 0.1}, {"low": 0.2}, None),
            ("artifact", "digest", "CHANGED", "1" * 8, "2" * 8, None),
        ] == said(found)
        assert (["both"], True) == ([each.name for each in found.ancestors], found.complete)

    @settings(max_examples=12, deadline=None, suppress_health_check=ALLOWED)
    @given(world=some_worlds, ends=st.sampled_from([(0, 1), (3, 4), (8, 9), (0, 0), (3, 3), (8, 8)]))
    async def test_the_nearest_common_ancestors(self, store: Store, world: World, ends: tuple[int, int]) -> None:
        """Those of the common ones on which no other common one depends; on a cycle, the nearest to both."""
        await world.record(store)

        found = await compare(store, *(world.ids[n] for n in ends))

        far = [nx.single_source_shortest_path_length(world.graph(LINEAGE, None), n) for n in ends]
        common = far[0].keys() & far[1].keys()
        below = {n: nx.ancestors(world.graph(LINEAGE, None), n) & common for n in common}
        near = {n: far[0][n] + far[1][n] for n in common}
        nearest = {n for n in common if not below[n]} or {n for n in common if near[n] == min(near.values())}
        assert {world.ids[n] for n in nearest} == {each.id for each in found.ancestors}

    async def test_the_nearest_common_ancestor(self, store: Store, tmp_path: Path) -> None:
        """The training set is what both come from; the dataset behind it is common too, but not the nearest."""
        a, b = await pair(store, Files(str(tmp_path / "files")))
        found = await compare(store, a.id, b.id)
        assert ["t"] == [each.name for each in found.ancestors]

    async def test_an_ancestor_of_the_other(self, store: Store) -> None:
        """Of two datasets, one derived from the other, the nearest common ancestor is the elder itself."""
        elder, younger = defined(K.DATASET, "d", "1", row_count=3), defined(K.DATASET, "d", "2", row_count=4)
        edges = [Edge(type=E.DERIVED_FROM, source=younger.id, target=elder.id)]
        await store.artifacts.record([elder, younger], edges, now=NOW, by="ann")

        found = await compare(store, elder.id, younger.id)

        assert [elder.id] == [each.id for each in found.ancestors]
        assert ("artifact", "row_count", "CHANGED", 3, 4, 1.0) in said(found)

    async def test_a_cycle_has_ancestors_too(self, store: Store) -> None:
        """Two datasets that derive from each other are both as near as can be."""
        a, b = defined(K.DATASET, "d", "1"), defined(K.DATASET, "d", "2")
        edges = [Edge(type=E.DERIVED_FROM, source=s.id, target=t.id) for s, t in ((a, b), (b, a))]
        await store.artifacts.record([a, b], edges, now=NOW, by="ann")
        assert {a.id, b.id} == {each.id for each in (await compare(store, a.id, b.id)).ancestors}

    async def test_nothing_differs_from_itself(self, store: Store, tmp_path: Path) -> None:
        """A model compared with itself differs in nothing and is its own nearest ancestor."""
        files = Files(str(tmp_path / "files"))
        a, _ = await pair(store, files)
        found = await compare(store, a.id, a.id, files=files)
        assert ([], [a.id]) == (found.differences, [each.id for each in found.ancestors])

    async def test_a_long_diff_is_cut(self, store: Store, tmp_path: Path) -> None:
        """A diff of many lines ends with how many more there are."""
        files = Files(str(tmp_path / "files"))
        trees_of = ["".join(f"{n * each}\n" for n in range(1000)) for each in (1, 2)]
        kept = [await files.put_bytes(trees.pack([("m.py", text.encode())])) for text in trees_of]
        codes = [defined(K.MODEL_CODE, "c", str(n), archive=each.sha256) for n, each in enumerate(kept)]
        await store.artifacts.record(codes, now=NOW, by="ann")

        found = await compare(store, codes[0].id, codes[1].id, files=files)

        lines = str(next(each.text for each in found.differences if each.text)).splitlines()
        assert (LINES + 1, True) == (len(lines), lines[-1].startswith("… and"))

    async def test_one_name_in_two_namespaces(self, store: Store) -> None:
        """Where a side has a name twice, both are called by their namespaces, and each meets its own on the other."""
        models, nodes, edges = [], list[Artifact](), list[Edge]()
        for version, spaces in (("1", {"hr": 1, "sales": 2}), ("2", {"hr": 3})):
            model = defined(K.MODEL, "m", version)
            data = [
                replace(defined(K.DATASET, "d", f"{rows}", row_count=rows), namespace=space)
                for space, rows in spaces.items()
            ]
            nodes += [model, *data]
            edges += [Edge(type=E.DERIVED_FROM, source=model.id, target=each.id) for each in data]
            models.append(model)
        await store.artifacts.record(nodes, edges, now=NOW, by="ann")

        found = [each for each in said(await compare(store, models[0].id, models[1].id)) if each[0] == "data"]

        assert [
            ("data", "hr/d.digest", "CHANGED", "1" * 8, "3" * 8, None),
            ("data", "hr/d.rows", "CHANGED", 1, 3, 2.0),
            ("data", "sales/d.digest", "REMOVED", "2" * 8, None, None),
            ("data", "sales/d.namespace", "REMOVED", "sales", None, None),
            ("data", "sales/d.rows", "REMOVED", 2, None, None),
        ] == found

    async def test_one_name_in_another_namespace(self, store: Store) -> None:
        """Where each side has a name once they are compared, and that the namespaces differ is said."""
        models, nodes, edges = [], list[Artifact](), list[Edge]()
        for version, space in (("1", "hr"), ("2", "sales")):
            model = defined(K.MODEL, "m", version)
            data = replace(defined(K.DATASET, "d", "1", row_count=3), namespace=space)
            nodes += [model, data]
            edges.append(Edge(type=E.DERIVED_FROM, source=model.id, target=data.id))
            models.append(model)
        await store.artifacts.record(nodes, edges, now=NOW, by="ann")

        found = [each for each in said(await compare(store, models[0].id, models[1].id)) if each[0] == "data"]

        assert [("data", "d.namespace", "CHANGED", "hr", "sales", None)] == found

    async def test_what_cannot_be_compared(self, store: Store, tmp_path: Path) -> None:
        """Two of different kinds, or one that is not there, are refused."""
        a, _ = await pair(store, Files(str(tmp_path / "files")))
        data = await store.artifacts.get(K.DATASET, "d")
        assert data is not None
        with pytest.raises(InvalidInput, match="two of a kind"):
            await compare(store, a.id, data.id)
        with pytest.raises(NotFound):
            await compare(store, a.id, "model_none")

    async def test_what_others_recorded_may_have_any_shape(self, store: Store) -> None:
        """Bodies of an odd shape are passed over."""
        odd: list[dict[str, Any]] = [{"splits": [1], "values": 3}, {"splits": {"train": None}}]
        nodes = [defined(K.TRAINING_SET, "t", str(n), **body) for n, body in enumerate(odd)]
        await store.artifacts.record(nodes, now=NOW, by="them")
        found = await compare(store, nodes[0].id, nodes[1].id)
        assert {"artifact", "data"} == {each.section for each in found.differences}

    async def test_code_whose_source_is_lost(self, store: Store, tmp_path: Path) -> None:
        """Without the archive of one side the digests say that the code differs, and no file seems added."""
        files = Files(str(tmp_path / "files"))
        kept = await files.put_bytes(trees.pack([("m.py", b"1")]))
        nodes = [
            defined(K.MODEL_CODE, "c", "1", archive=kept.sha256),
            defined(K.MODEL_CODE, "c", "2", archive="0" * 64),
        ]
        await store.artifacts.record(nodes, now=NOW, by="ann")
        found = await compare(store, nodes[0].id, nodes[1].id, files=files)
        assert ["c.digest"] == [each.name for each in found.differences if each.section == "code"]


@pytest.mark.parametrize(("a", "b"), [(10**400, 0.5), (1e308, -1e308), (True, 2), ("1", 2)])
def test_no_delta_that_is_no_number(a: Any, b: Any) -> None:
    """Numbers that no float can hold, and values that are no numbers, differ without a delta."""
    (found,) = differences({"metrics": {"m": a}}, {"metrics": {"m": b}})
    assert found.delta is None


def test_files_beyond_the_bound_are_counted() -> None:
    """So many files are shown in the order of their paths; how many more differ is said."""
    old = {f"{number:03}.py": b"1" for number in range(FILES + 3)}
    new = {**dict.fromkeys(old, b"2"), "same.py": b"3"}

    shown, omitted = between(old | {"same.py": b"3"}, new)

    assert sorted(old)[:FILES] == [each.path for each in shown]
    assert (3, {Change.CHANGED}) == (omitted, {each.change for each in shown})
    assert ([], 0) == between(old, old)


def test_very_long_files_are_not_compared_by_line() -> None:
    """Their lengths are told instead."""
    old, new = (b"%d\n" % number * (COMPARED + 1) for number in (1, 2))

    (shown,), _ = between({"a.csv": old}, {"a.csv": new})

    assert f"{COMPARED + 1} lines, then {COMPARED + 1}" in shown.text
