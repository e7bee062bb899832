"""Runs of benchmarks: champion and challengers predict the same rows, and a gate judges each challenger."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pandas as pd

from executors.jobs.apply import predicted
from executors.jobs.job import Job, Landing
from executors.jobs.landing import measured
from lineage.artifacts import Artifact, ArtifactKind
from lineage.cycle.benchmarks import bar_of, verdict_of
from lineage.cycle.bootstrap import Scored, interval
from lineage.cycle.gates import Bar, Gate, Pair, judge
from lineage.errors import ExecutionFailed

K = ArtifactKind


async def benchmark(job: Job) -> Landing:
    """Score every model on the benchmark's rows, each in its own environment, and judge the challengers."""
    found = await job.store.artifacts.one(job.spec["benchmark"], K.BENCHMARK)
    training_set = await job.store.artifacts.one(found.body["training_set"], K.TRAINING_SET)
    known = await job.store.artifacts.by_ids(found.body["metrics"])
    definitions = [known[id] for id in found.body["metrics"]]
    champion = job.spec["champion"]
    ids = list(dict.fromkeys([*([champion] if champion else []), *job.spec["models"]]))
    models = await job.store.artifacts.by_ids(ids)
    landing = Landing(artifacts=[], edges=[])
    files: dict[str, Path] = {}
    evaluations: dict[str, str] = {}
    split = found.body["split"]
    for number, id in enumerate(ids):
        stage_name = f"predict-{number}"
        files[id] = await predicted(job, models[id], training_set, found.body["sha256"], stage_name=stage_name)
        made, edges = await measured(job, models[id], files[id], definitions, training_set=training_set, split=split)
        evaluations[id] = made.id
        landing = landing.with_(made, edges)
    same = [*training_set.body["entity"], training_set.body["label"]]
    await anyio.to_thread.run_sync(_same_rows, list(files.values()), same)
    scored = {id: await anyio.to_thread.run_sync(read, files[id], models[id]) for id in ids}
    bars = [bar_of(each) for each in definitions]
    verdicts: dict[str, str] = {}
    for id in [each for each in job.spec["models"] if each != champion]:
        gate = await anyio.to_thread.run_sync(judged, bars, scored[id], scored.get(champion), found.body)
        both = {name: evaluations[name] for name in (champion, id) if name}
        made, edges = verdict_of(
            gate, benchmark=found, challenger=models[id], champion=models.get(champion), evaluations=both
        )
        verdicts[id] = made.id
        landing = landing.with_(made, edges)
    return replace(landing, result={"verdicts": verdicts, "evaluations": evaluations})


def judged(bars: Sequence[Bar], challenger: Scored, champion: Scored | None, body: Mapping[str, Any]) -> Gate:
    """What the gate of a benchmark says of *challenger*; *body* is that of the benchmark."""
    pairs = {bar.metric: _pair(bar.metric, challenger, champion, body) for bar in bars}
    return judge(bars, pairs, has_champion=champion is not None, must_be_sure=body["must_be_sure"])


def _pair(metric: str, challenger: Scored, champion: Scored | None, body: Mapping[str, Any]) -> Pair:
    value = challenger.value(metric)
    if champion is None:
        return Pair(challenger=value)
    before = champion.value(metric)
    settings = {name: body[name] for name in ("resamples", "confidence", "seed")}
    found = interval(champion, challenger, metric, **settings) if body["resamples"] else None
    if found is None:
        return Pair(challenger=value, champion=before)
    return Pair(challenger=value, champion=before, low=found.low, high=found.high, resamples=found.resamples)


def read(path: Path, model: Artifact) -> Scored:
    """What *model* has predicted, with classes as numbers, so that resamples are measured fast."""
    frame = pd.read_parquet(path)
    labels, predictions = frame[model.body["label"]].to_numpy(), frame["prediction"].to_numpy()
    if model.body["task"] == "regression":
        return Scored(labels=labels, predictions=predictions)
    classes = list(model.body["classes"] or sorted(set(labels.tolist())))
    if "score" in frame and len(classes) == 2:
        positive = frame["score"].to_numpy(dtype=float)
        scores: Any = np.column_stack([1 - positive, positive])
    elif all(f"score_{each}" in frame for each in classes):
        scores = frame[[f"score_{each}" for each in classes]].to_numpy(dtype=float)
    else:
        scores = None
    codes = {each: number for number, each in enumerate(classes)}
    return Scored(
        labels=_coded(labels, codes),
        predictions=_coded(predictions, codes),
        scores=scores,
        classes=list(range(len(classes))),
    )


def _coded(values: Any, codes: dict[Any, int]) -> Any:
    """Numbers for classes; a label that the model has never seen gets one of its own behind them."""
    return np.array([codes.setdefault(each, len(codes)) for each in values.tolist()], dtype=np.int64)


def _same_rows(files: Sequence[Path], columns: Sequence[str]) -> None:
    first, *others = [pd.read_parquet(each, columns=list(columns)) for each in files]
    if not all(each.equals(first) for each in others):
        raise ExecutionFailed("the models were not scored on the same rows", reason="ERROR")
