"""The steps of the demo: the life cycle from files to a promoted model, through the client and nothing else."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage.artifacts import digest_of
from lineage.client import Artifact, Client, Promotion, Run, Trial
from lineage.errors import Conflict
from lineage.runs import RunState

SOURCE = (
    "flights "
    "LEFT JOIN weather ON flights.origin = weather.origin AND flights.time_hour = weather.time_hour "
    "LEFT JOIN planes ON flights.tailnum = planes.tailnum "
    "LEFT JOIN airports ON flights.dest = airports.faa"
)
ENTITY = ("flights.time_hour", "flights.carrier", "flights.flight")
FEATURES: Mapping[str, tuple[str, str]] = {
    "month": ("flights.month", "Month of departure"),
    "weekday": ("date_part('isodow', flights.time_hour)", "Day of the week, Monday is 1"),
    "hour": ("flights.hour", "Hour of the planned departure"),
    "airline": ("flights.carrier", "Airline"),
    "origin": ("flights.origin", "Airport of departure"),
    "distance": ("flights.distance", "Miles to fly"),
    "dep_delay": ("flights.dep_delay", "Minutes by which the departure was late"),
    "dest_lat": ("airports.lat", "Latitude of the destination"),
    "dest_lon": ("airports.lon", "Longitude of the destination"),
    "wind_speed": ("weather.wind_speed", "Wind at departure, miles per hour"),
    "precip": ("weather.precip", "Rain at departure, inches"),
    "visib": ("weather.visib", "Visibility at departure, miles"),
    "plane_age": ("flights.year - planes.year", "Age of the plane in years"),
}
LABEL = ("late", "flights.arr_delay > 15", "Whether the flight arrived more than 15 minutes late")
SPLIT = {
    "by": "TIME",
    "column": "flights.time_hour",
    "validate_from": "2013-09-01",
    "test_from": "2013-10-01",
    "until": "2013-12-01",
}
DECEMBER = "flights.time_hour >= TIMESTAMP '2013-12-01'"
PACKAGES = ("scikit-learn", "pandas", "pyarrow", "skops")
SPACE = {
    "learning_rate": {"type": "float", "low": 0.03, "high": 0.3, "log": True},
    "max_iter": {"type": "int", "low": 30, "high": 90, "step": 10},
    "max_leaf_nodes": {"type": "int", "low": 8, "high": 48, "log": True},
    "l2_regularization": {"type": "float", "low": 1e-3, "high": 10.0, "log": True},
}
#: Metric → what a model must reach to become the champion; None is only collected.
METRICS: Mapping[str, float | None] = {
    "roc_auc": 0.85,
    "f1": 0.6,
    "precision": None,
    "recall": None,
    "average_precision": None,
}
MODEL = "late-flights"
CODE = Path(__file__).with_name("model.py")
PREPARED = ("training_set", "environment")


@dataclass(frozen=True, kw_only=True)
class Data:
    """The datasets, and what is defined over them."""

    datasets: Mapping[str, Artifact]
    features: Mapping[str, Artifact]
    feature_set: Artifact


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The model that was found, how it does, and whether it is the champion."""

    run: Run
    trials: list[Trial]
    model: Artifact
    evaluation: Artifact
    promotion: Promotion | None
    refused: str | None


class Pipeline:
    """The steps in order; each finds again what it made before, by keys that are digests of what it is given."""

    def __init__(self, client: Client, *, progress: bool = False) -> None:
        self._client, self._progress = client, progress

    def data(self, files: Mapping[str, Path]) -> Data:
        """Register the files and define features and label over them."""
        runs = {name: self._start("register_dataset", name, path, digest=_sha256(path)) for name, path in files.items()}
        datasets = {name: self._made(run, "dataset") for name, run in runs.items()}
        pinned = {name: dataset.version for name, dataset in datasets.items() if name in SOURCE}
        define = {"source": SOURCE, "entity": ENTITY, "datasets": pinned, "tags": ("demo",)}
        features = {
            name: self._client.define_feature(name, sql, description=words, **define)  # type: ignore[arg-type]
            for name, (sql, words) in FEATURES.items()
        }
        name, sql, words = LABEL
        label = self._client.define_feature(name, sql, description=words, **define)  # type: ignore[arg-type]
        feature_set = self._client.define_feature_set(MODEL, list(features.values()), label, tags=("demo",))
        return Data(datasets=datasets, features=features, feature_set=feature_set)

    def model(self, data: Data, *, trials: int) -> Outcome:
        """Write the training set, resolve the environment, search, fit, evaluate, and promote what passes."""
        runs = (
            self._start("create_training_set", MODEL, data.feature_set.id, SPLIT),
            self._start("register_environment", MODEL, PACKAGES),
        )
        code = self._client.register_model_code(
            MODEL, CODE, "model.py:build", feature_set=data.feature_set, tags=("demo",)
        )
        space = self._client.define_search_space(MODEL, SPACE, tags=("demo",))
        metrics = [self._client.define_metric(name, threshold=bar, tags=("demo",)) for name, bar in METRICS.items()]
        training_set, environment = (self._made(run, kind) for run, kind in zip(runs, PREPARED, strict=True))
        inputs = (training_set.id, code.id, environment.id, [metric.id for metric in metrics], space.id)
        run = self._start("tune", MODEL, *inputs, objective="roc_auc", trials=trials, parallel=2, seed=7)
        run = self._client.wait(run, progress=self._progress)
        found, evaluation = (self._client.node(run.result[kind]) for kind in ("model", "evaluation"))
        promotion, refused = self._promote(found)
        return Outcome(
            run=run,
            trials=list(self._client.trials(run)),
            model=found,
            evaluation=evaluation,
            promotion=promotion,
            refused=refused,
        )

    def predictions(self, found: Artifact) -> Artifact:
        """Score the flights of December, which nothing was learned from."""
        return self._made(self._start("score", f"{MODEL}-december", found.id, DECEMBER), "predictions")

    def _promote(self, found: Artifact) -> tuple[Promotion | None, str | None]:
        try:
            return self._client.promote(found), None
        except Conflict as error:  # a bar was missed: the demo says so and goes on
            return None, str(error)

    def _start(self, verb: str, *arguments: Any, digest: str = "", **given: Any) -> Run:
        """The run of *verb* that was started with this very content before, unless it ended badly, or a new one."""
        key = f"demo-{digest_of([verb, [str(each) for each in arguments], given, digest])[:32]}"
        attempt = 0
        while True:
            run: Run = getattr(self._client, verb)(*arguments, idempotency_key=f"{key}-{attempt}", **given)
            if not run.is_over or run.state is RunState.SUCCEEDED:
                return run
            attempt += 1

    def _made(self, run: Run, kind: str) -> Artifact:
        done = self._client.wait(run, progress=self._progress)
        return self._client.node(done.result[kind])


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
