"""What clients may change: each takes one input, sends one verb, and shows what was made."""

from typing import cast

import strawberry

from api import parts
from api.artifacts import Artifact, Asset, shown
from api.benchmarks import BenchmarkMutation
from api.context import Info, changing
from api.deployments import DeploymentMutation
from api.inputs import (
    BuildEnvironmentInput,
    CancelRunInput,
    CreateTrainingSetInput,
    DefineFeatureInput,
    DefineFeatureSetInput,
    DefineMetricInput,
    DefineSearchSpaceInput,
    EvaluateInput,
    ImportEnvironmentInput,
    PromoteInput,
    RegisterDatasetInput,
    RegisterEnvironmentInput,
    RegisterModelCodeInput,
    RetractInput,
    ScoreInput,
    TrainInput,
    TuneInput,
    mapping,
    meant,
    started,
)
from api.intake import IntakeMutation
from api.kinds import Evaluation, Feature, FeatureSet, MetricDefinition, Model, ModelCode, SearchSpace
from api.plans import PlanMutation
from api.promotions import PromotionMutation
from api.reproductions import ReproductionMutation
from api.runs import Run
from api.schedules import ScheduleMutation
from api.sdl import object_type
from api.triggers import TriggerMutation
from api.watch import WatchMutation
from api.webhooks import WebhookMutation
from lineage import definitions, environments, promotion, requests
from lineage import runs as domain
from lineage.errors import InvalidInput


@object_type
class RunPayload:
    """The run that was started, or that the same idempotency key started before."""

    run: Run


@object_type
class DefineFeaturePayload:
    """The feature that was recorded."""

    feature: Feature


@object_type
class DefineFeatureSetPayload:
    """The feature set that was recorded."""

    feature_set: FeatureSet


@object_type
class RegisterModelCodePayload:
    """The source tree that was recorded."""

    model_code: ModelCode


@object_type
class DefineSearchSpacePayload:
    """The search space that was recorded."""

    search_space: SearchSpace


@object_type
class DefineMetricPayload:
    """The metric that was recorded."""

    metric: MetricDefinition


@object_type
class PromotePayload:
    """The alias that moved: to which model, from which, on what evidence."""

    asset: Asset
    alias: str
    model: Model
    former: Model | None
    evaluation: Evaluation | None
    verdicts: list[parts.Verdict]


@object_type
class RetractPayload:
    """The artifact with its tombstone."""

    artifact: Artifact


def _queued(run: domain.Run) -> RunPayload:
    return RunPayload(run=Run.of(run))


@object_type
class Mutation(
    IntakeMutation,
    DeploymentMutation,
    ReproductionMutation,
    ScheduleMutation,
    TriggerMutation,
    WatchMutation,
    WebhookMutation,
    BenchmarkMutation,
    PlanMutation,
    PromotionMutation,
):
    """What clients may change."""

    @strawberry.mutation
    async def register_dataset(self, info: Info, input: RegisterDatasetInput) -> RunPayload:
        """Read a dataset where it lies: schema, statistics, digest."""
        asked = meant(requests.RegisterDataset, input, **started(info, input))
        return _queued(await requests.register_dataset(info.context.store, asked, **changing(info)))

    @strawberry.mutation
    async def define_feature(self, info: Info, input: DefineFeatureInput) -> DefineFeaturePayload:
        """Record a feature; the columns that it uses are read from its SQL."""
        pinned = {each.name: each.version for each in input.datasets}
        asked = meant(definitions.DefineFeature, input, datasets=pinned)
        made = await definitions.define_feature(info.context.store, asked, **changing(info))
        return DefineFeaturePayload(feature=cast(Feature, shown(made)))

    @strawberry.mutation
    async def define_feature_set(self, info: Info, input: DefineFeatureSetInput) -> DefineFeatureSetPayload:
        """Record the features that a model requires, and its label."""
        asked = meant(definitions.DefineFeatureSet, input)
        made = await definitions.define_feature_set(info.context.store, asked, **changing(info))
        return DefineFeatureSetPayload(feature_set=cast(FeatureSet, shown(made)))

    @strawberry.mutation
    async def create_training_set(self, info: Info, input: CreateTrainingSetInput) -> RunPayload:
        """Write the splits of a feature set as Parquet."""
        asked = meant(requests.CreateTrainingSet, input, split=input.split.rule(), **started(info, input))
        return _queued(await requests.create_training_set(info.context.store, asked, **changing(info)))

    @strawberry.mutation
    async def register_model_code(self, info: Info, input: RegisterModelCodeInput) -> RegisterModelCodePayload:
        """Keep a source tree and record it."""
        files = [meant(definitions.SourceFile, file) for file in input.files]
        notebook = meant(definitions.SourceFile, input.notebook) if input.notebook else None
        git = input.git and vars(input.git)
        asked = meant(definitions.RegisterModelCode, input, files=files, git=git, notebook=notebook)
        services = info.context.services
        made = await definitions.register_model_code(services.store, services.files, asked, **changing(info))
        return RegisterModelCodePayload(model_code=cast(ModelCode, shown(made)))

    @strawberry.mutation
    async def register_environment(self, info: Info, input: RegisterEnvironmentInput) -> RunPayload:
        """Resolve packages to a lock with hashes."""
        conda = meant(environments.Conda, input.conda) if input.conda else None
        asked = meant(requests.RegisterEnvironment, input, conda=conda, **started(info, input))
        return _queued(await requests.register_environment(info.context.store, asked, **changing(info)))

    @strawberry.mutation
    async def import_environment(self, info: Info, input: ImportEnvironmentInput) -> RunPayload:
        """Register what an environment.yml asks for."""
        found = environments.parse(input.text)
        named = {**found, "name": input.name or found["name"] or ""}
        asked = meant(requests.RegisterEnvironment, input, **named, **started(info, input))
        return _queued(await requests.register_environment(info.context.store, asked, **changing(info)))

    @strawberry.mutation
    async def build_environment(self, info: Info, input: BuildEnvironmentInput) -> RunPayload:
        """Make an environment ready where an executor runs it: a virtual environment, an image."""
        asked = meant(requests.BuildEnvironment, input, **started(info, input))
        return _queued(await requests.build_environment(info.context.store, asked, **changing(info)))

    @strawberry.mutation
    async def define_search_space(self, info: Info, input: DefineSearchSpaceInput) -> DefineSearchSpacePayload:
        """Record the hyperparameters that may be tuned."""
        asked = meant(definitions.DefineSearchSpace, input, parameters=mapping(input.parameters, "parameters"))
        made = await definitions.define_search_space(info.context.store, asked, **changing(info))
        return DefineSearchSpacePayload(search_space=cast(SearchSpace, shown(made)))

    @strawberry.mutation
    async def define_metric(self, info: Info, input: DefineMetricInput) -> DefineMetricPayload:
        """Record a metric with the bar that a model must reach."""
        asked = meant(definitions.DefineMetric, input)
        made = await definitions.define_metric(info.context.store, asked, **changing(info))
        return DefineMetricPayload(metric=cast(MetricDefinition, shown(made)))

    @strawberry.mutation
    async def tune(self, info: Info, input: TuneInput) -> RunPayload:
        """Search for the best hyperparameters, then fit and evaluate the best."""
        values = mapping(input.hyperparameters, "hyperparameters")
        asked = meant(requests.Tune, input, hyperparameters=values, **started(info, input))
        return _queued(await requests.tune(info.context.store, asked, **changing(info)))

    @strawberry.mutation
    async def train(self, info: Info, input: TrainInput) -> RunPayload:
        """Fit a model with given hyperparameters, and evaluate it."""
        values = mapping(input.hyperparameters, "hyperparameters")
        asked = meant(requests.Train, input, hyperparameters=values, **started(info, input))
        return _queued(await requests.train(info.context.store, asked, **changing(info)))

    @strawberry.mutation
    async def evaluate(self, info: Info, input: EvaluateInput) -> RunPayload:
        """Measure a model on a split."""
        asked = meant(requests.Evaluate, input, **started(info, input))
        return _queued(await requests.evaluate(info.context.store, asked, **changing(info)))

    @strawberry.mutation
    async def score(self, info: Info, input: ScoreInput) -> RunPayload:
        """Let a model predict rows in batch."""
        chosen = {each.name: each.id for each in input.datasets}
        asked = meant(requests.Score, input, datasets=chosen, **started(info, input))
        return _queued(await requests.score(info.context.store, asked, **changing(info)))

    @strawberry.mutation
    async def promote(self, info: Info, input: PromoteInput) -> PromotePayload:
        """Move an alias to a model that has reached its bars."""
        moved = await promotion.promote(info.context.store, meant(promotion.Promote, input), **changing(info))
        former = await info.context.loaders.artifacts.load(moved.former) if moved.former else None
        return PromotePayload(
            asset=Asset.of(moved.model),
            alias=moved.alias,
            model=cast(Model, shown(moved.model)),
            former=cast(Model, shown(former)) if former else None,
            evaluation=cast(Evaluation, shown(moved.evaluation)) if moved.evaluation else None,
            verdicts=parts.verdicts(list(moved.verdicts)),
        )

    @strawberry.mutation
    async def cancel_run(self, info: Info, input: CancelRunInput) -> RunPayload:
        """Ask a run to stop: one that waits stops at once, one that runs at its next heartbeat."""
        return _queued(await info.context.store.runs.cancel(input.id, now=changing(info)["now"]))

    @strawberry.mutation
    async def retract(self, info: Info, input: RetractInput) -> RetractPayload:
        """Leave a tombstone on an artifact; it stays in the graph, and walks can show or hide it."""
        if not input.reason.strip():
            raise InvalidInput("say why it is retracted", field="reason")
        now = changing(info)["now"]
        made = await info.context.store.artifacts.retract(input.id, reason=input.reason, now=now)
        return RetractPayload(artifact=shown(made))
