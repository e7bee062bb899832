"""`lineage impact` with each of its options, against a server."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from lineage.store import Store
from tests.api.serving import Client
from tests.api.shell import Shell
from tests.api.test_walks import a_chain
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
START = ["impact", "Dataset:flights"]
ALL = ["flights.delay", "late", "very_late", "delays", "delays-2026", "model"]
#: Options, and what of the chain they leave: the alias is on the model, and the set was retracted.
OPTIONS = {
    (): ["flights.delay", "late", "very_late", "delays", "model"],
    ("--retracted",): ALL,
    ("--kind", "Feature", "--kind", "MODEL"): ["late", "very_late", "model"],
    ("--depth", "2"): ["flights.delay", "late", "very_late"],
    ("--stop", "FeatureSet"): ["flights.delay", "late", "very_late", "delays"],
    ("--edge", "DERIVED_FROM"): ["flights.delay", "late", "very_late", "delays"],
    ("--as-of", (NOW + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")): ["flights.delay", "late"],
    ("--tag", "none"): [],
    ("--alias", "champion"): ["model"],
    ("--owner", "t"): ["flights.delay", "late", "very_late", "delays", "model"],
    ("--owner", "nobody"): [],
    ("--live",): [],
    ("--no-live", "--kind", "Model"): ["model"],
}


async def test_each_option_narrows_the_answer(client: Client, store: Store, tmp_path: Path) -> None:
    """What is shown is what the options let through, in JSON as in counts."""
    made = await a_chain(store)
    await store.artifacts.set_alias(made["model"].id, "champion", now=NOW, by="t", reason=None)
    await store.artifacts.retract(made["delays-2026"].id, reason="wrong", now=NOW + timedelta(seconds=60))

    told = await Shell(client, tmp_path).each(*([*START, *words, "--json"] for words in OPTIONS))

    found = {
        words: sorted(each["artifact"]["name"] for each in json.loads(out)["walk"]["reached"])
        for words, (_, out) in zip(OPTIONS, told, strict=True)
    }
    assert {words: sorted(names) for words, names in OPTIONS.items()} == found
    assert {0} == {code for code, _ in told}


async def test_counts_lines_and_pages(client: Client, store: Store, tmp_path: Path) -> None:
    """--count fetches nothing, --all is a line of JSON for each, --first says what it leaves out; cuts are told."""
    made = await a_chain(store)

    told = await Shell(client, tmp_path).each(
        [*START, "--count", "--json"],
        [*START, "--count"],
        [*START, "--all"],
        [*START, "--first", "2"],
        [*START, "--depth", "1"],
        ["impact", made["late"].id, "--namespace", "elsewhere"],
        ["impact", "Dataset:flights", "--namespace", "elsewhere"],
        [*START, "--edge", "USED"],
        [*START, "--kind", "Nonsense"],
    )

    counts, words, lines, few, near, by_id, missing, wrong, unknown = (out for _, out in told)
    facets = json.loads(counts)["facets"]
    assert (6, {"t": 6}, 2) == (facets["total"], facets["owners"], facets["kinds"]["Feature"])
    assert "6 depend on Dataset flights" in words
    assert sorted(ALL) == sorted(json.loads(line)["name"] for line in lines.splitlines())
    assert "and 4 more (--first shows more)" in few
    assert "cut by depth" in near
    assert "3 depend on Feature late" in by_id
    assert [0, 0, 0, 0, 0, 0, 1, 1, 1] == [code for code, _ in told]
    assert "in the namespace 'elsewhere'" in missing
    assert "USED" in wrong
    assert "Nonsense" in unknown
