"""The lineage of a model as a document of W3C PROV, read by a library that is not ours."""

import io
import json
from pathlib import Path

import pytest
from prov.model import ProvDerivation, ProvDocument, ProvEntity, ProvGeneration

from lineage.audits import prov
from lineage.audits.audit import audit
from lineage.errors import LimitExceeded, NotFound
from lineage.files import Files
from lineage.store import Store
from tests.lineage.audits.test_audit import complete

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


async def test_it_survives_a_round_trip(store: Store, tmp_path: Path) -> None:
    """Read and written again by the `prov` package it is the same document, with every artifact and every edge."""
    model = await complete(store, Files(str(tmp_path / "artifacts")), tmp_path)
    ours = await prov.document(store, model.id)

    read = ProvDocument.deserialize(io.StringIO(json.dumps(ours)), format="json")
    again = ProvDocument.deserialize(io.StringIO(read.serialize(format="json")), format="json")

    assert read == again
    assert len(ours["entity"]) == len(list(read.get_records(ProvEntity)))
    assert len(ours["wasDerivedFrom"]) == len(list(read.get_records(ProvDerivation)))
    assert len(ours["wasGeneratedBy"]) == len(list(read.get_records(ProvGeneration))) > 0
    sources = {fact.source for fact in (await audit(store, model.id)).facts}
    named = {id.removeprefix("lineage:") for kind in ("entity", "activity") for id in ours[kind]}
    assert {source for source in sources if source is not None} <= named
    assert {"lineage:TRAINED_ON", "lineage:RUNS_IN", "lineage:EVALUATED_BY"} <= {
        each["prov:type"]["$"] for each in ours["wasDerivedFrom"].values()
    }


async def test_it_is_whole_or_not_there(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would not fit is refused instead of cut, and what is not there is not found."""
    model = await complete(store, Files(str(tmp_path / "artifacts")), tmp_path)
    monkeypatch.setattr("lineage.audits.prov.MOST", 3)

    with pytest.raises(LimitExceeded):
        await prov.document(store, model.id)
    with pytest.raises(NotFound):
        await prov.document(store, "model_none")
