"""Benchmarks in the schema: what models are scored on, and what the gate said of each."""

from typing import cast

import strawberry
from strawberry.scalars import JSON

from api import parts
from api.artifacts import Artifact, joined, known, named, shown
from api.context import Info, changing
from api.inputs import Named, Started, meant, started
from api.kinds import Evaluation, MetricDefinition, Model, TrainingSet, shows
from api.runs import Run
from api.sdl import input_type, object_type
from lineage.artifacts import ArtifactKind, EdgeType
from lineage.cycle import benchmarks

K, E = ArtifactKind, EdgeType


@shows(K.BENCHMARK)
class Benchmark(Artifact):
    """Metric definitions on fixed rows, on which a champion and its challengers are scored alike."""

    training_set: TrainingSet | None = named("training_set", K.TRAINING_SET, doc="Whose split is scored.")
    split: str | None = known("split", parts.text, doc="The split that is scored.")
    metrics: list[MetricDefinition] = named("metrics", K.METRIC_DEFINITION, many=True, doc="What is measured.")
    resamples: int | None = known("resamples", parts.whole, doc="How often rows are drawn anew for an interval.")
    seed: int | None = known("seed", parts.whole, doc="What rows are drawn with.")
    must_be_sure: bool | None = known(
        "must_be_sure", parts.truth, doc="Whether the worse end of the interval has to reach a change."
    )


@shows(K.GATE_VERDICT)
class GateVerdict(Artifact):
    """What a gate said of a challenger, with the numbers of both sides on the same rows."""

    gate: str | None = known("state", parts.text, doc="PASSED, REFUSED, NO_THRESHOLDS or NO_CHAMPION.")
    message: str | None = known("message", parts.text, doc="The state in a sentence.")
    numbers: JSON | None = known("metrics", parts.anything, doc="Bar, both values, difference and interval of each.")
    benchmark: Benchmark | None = named("benchmark", K.BENCHMARK, doc="What both were scored on.")
    challenger: Model | None = named("challenger", K.MODEL, doc="Who wants to be the champion.")
    champion: Model | None = named("champion", K.MODEL, doc="Who was it when this was judged.")
    evaluations: list[Evaluation] = joined(E.MEASURES, K.EVALUATION, many=True, doc="What was measured of both.")


@input_type
class DefineBenchmarkInput(Named):
    """Metric definitions on one split of a training set.

    Rows are drawn anew *resamples* times for the interval of each difference, which has the *confidence* given; with
    *mustBeSure* it is the worse end of the interval that has to reach the changes that the metrics ask for.
    """

    training_set: strawberry.ID
    metrics: list[strawberry.ID]
    split: str = "test"
    resamples: int = 500
    confidence: float = 0.95
    seed: int = 0
    must_be_sure: bool = False


@input_type
class RunBenchmarkInput(Started):
    """Models to be scored beside a champion: by default the one that *alias* of the first model's name points to."""

    benchmark: strawberry.ID
    models: list[strawberry.ID]
    champion: strawberry.ID | None = None
    alias: str = "champion"


@object_type
class DefineBenchmarkPayload:
    """The benchmark."""

    benchmark: Benchmark


@object_type
class RunBenchmarkPayload:
    """The run that scores the models; the verdicts are among what it generates."""

    run: Run


@object_type
class BenchmarkMutation:
    """How benchmarks are defined and run."""

    @strawberry.mutation
    async def define_benchmark(self, info: Info, input: DefineBenchmarkInput) -> DefineBenchmarkPayload:
        """Define what champions and challengers are scored on; the same one twice is one."""
        asked = meant(benchmarks.DefineBenchmark, input)
        made = await benchmarks.define_benchmark(info.context.store, asked, **changing(info))
        return DefineBenchmarkPayload(benchmark=cast(Benchmark, shown(made)))

    @strawberry.mutation
    async def run_benchmark(self, info: Info, input: RunBenchmarkInput) -> RunBenchmarkPayload:
        """Score models and their champion on the same rows, and judge each model."""
        asked = meant(benchmarks.RunBenchmark, input, **started(info, input))
        run = await benchmarks.run_benchmark(info.context.store, asked, **changing(info))
        return RunBenchmarkPayload(run=Run.of(run))
