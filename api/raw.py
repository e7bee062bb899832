"""Rows of the base dataset's columns, turned into the features that a deployed model wants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from lineage.artifacts import Artifact, ArtifactKind
from lineage.data import online
from lineage.errors import InvalidInput
from lineage.members import sources_of
from lineage.requests import trained_on
from lineage.store import Store

K = ArtifactKind
MOST_KEPT = 100  # deployments whose features are remembered
MOST_ROWS = 10_000


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the features of one deployment are computed from."""

    feature_set: Artifact
    features: Mapping[str, Artifact]
    datasets: Mapping[str, Artifact]


class Raw:
    """Computes features for deployments, by what the graph knows of how their models were trained."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Inputs] = {}

    async def body(self, deployment: str, data: bytes) -> bytes:
        """The body of features for a body of raw rows; raise InvalidInput for rows that cannot be used."""
        asked, rows = _read(data)
        inputs = await self._inputs(deployment)
        found = await online.compute(inputs.feature_set, inputs.features, inputs.datasets, rows)
        split = {"columns": found.columns, "data": found.rows}
        return orjson.dumps({"dataframe_split": split, "params": asked.get("params")})

    async def _inputs(self, deployment: str) -> Inputs:
        if deployment not in self._known:
            artifacts = self._store.artifacts
            version = await artifacts.one(deployment, K.DEPLOYMENT)
            model = await artifacts.one(version.body["model"], K.MODEL)
            training_set = await artifacts.one(await trained_on(self._store, model), K.TRAINING_SET)
            feature_set = await artifacts.one(training_set.body["feature_set"], K.FEATURE_SET)
            features, datasets = await sources_of(self._store, feature_set)
            read = await artifacts.by_ids(training_set.body["datasets"].values())
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            by_name = datasets | {each.name: each for each in read.values()}
            self._known[deployment] = Inputs(feature_set=feature_set, features=features, datasets=by_name)
        return self._known[deployment]


def _read(data: bytes) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error}") from error
    rows = body.get("dataframe_records") if isinstance(body, dict) else None
    split = body.get("dataframe_split") if isinstance(body, dict) else None
    if isinstance(split, dict) and isinstance(split.get("columns"), list) and isinstance(split.get("data"), list):
        names = split["columns"]
        rows = [dict(zip(names, row, strict=False)) if isinstance(row, list) else row for row in split["data"]]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidInput("raw rows come as dataframe_records, or as dataframe_split with columns")
    if not 1 <= len(rows) <= MOST_ROWS:
        raise InvalidInput(f"send 1 to {MOST_ROWS} raw rows at a time, not {len(rows)}")
    return body, rows
