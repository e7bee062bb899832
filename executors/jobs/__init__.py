"""What each kind of run does."""

from collections.abc import Awaitable, Callable, Mapping

from executors.jobs.apply import evaluate, score
from executors.jobs.benchmark import benchmark
from executors.jobs.deploy import deploy
from executors.jobs.job import Job, Landing
from executors.jobs.learn import train, tune
from executors.jobs.prepare import ingest, materialise
from executors.jobs.reproduce import reproduce
from executors.jobs.resolve import build, resolve
from executors.jobs.watch import drift, quality
from lineage.runs import RunKind

JOBS: Mapping[RunKind, Callable[[Job], Awaitable[Landing]]] = {
    RunKind.INGEST: ingest,
    RunKind.MATERIALISE: materialise,
    RunKind.RESOLVE: resolve,
    RunKind.BUILD: build,
    RunKind.TUNE: tune,
    RunKind.TRAIN: train,
    RunKind.EVALUATE: evaluate,
    RunKind.BENCHMARK: benchmark,
    RunKind.SCORE: score,
    RunKind.DRIFT: drift,
    RunKind.QUALITY: quality,
    RunKind.DEPLOY: deploy,
    RunKind.REPRODUCE: reproduce,
}
