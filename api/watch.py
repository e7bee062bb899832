"""Watching models in the schema: drift of what they are given, quality once the labels are there."""

import strawberry

from api.context import Info, changing
from api.inputs import DatasetIdInput, Started, meant, started
from api.runs import Run
from api.sdl import input_type, object_type
from lineage.cycle import watch
from lineage.data.drift import BINS


@input_type
class MeasureDriftInput(Started):
    """Predictions, or the live version of a deployment, whose inputs are held against what the model has learned from.

    *deployment* is a name in *namespace*; of it the sample counts that it keeps of what it is asked. *metrics* are
    definitions of psi, p_value or drifted_share, where a bar is set; *bins* is how many numbers are cut
    into.
    """

    predictions: strawberry.ID | None = None
    deployment: str | None = None
    namespace: str = "default"
    metrics: list[strawberry.ID] = strawberry.field(default_factory=list)
    bins: int = BINS


@input_type
class MeasureQualityInput(Started):
    """Predictions whose labels are there by now.

    *label* is the feature that tells them, by default that of the training set; *datasets* are the versions that it is
    read from, by default the newest; *metrics* are by default those that the model was evaluated by last.
    """

    predictions: strawberry.ID
    label: strawberry.ID | None = None
    datasets: list[DatasetIdInput] = strawberry.field(default_factory=list)
    metrics: list[strawberry.ID] = strawberry.field(default_factory=list)


@object_type
class MeasureDriftPayload:
    """The run that compares; it generates an Evaluation."""

    run: Run


@object_type
class MeasureQualityPayload:
    """The run that measures; it generates an Evaluation."""

    run: Run


@object_type
class WatchMutation:
    """How models in use are watched."""

    @strawberry.mutation
    async def measure_drift(self, info: Info, input: MeasureDriftInput) -> MeasureDriftPayload:
        """Measure how far what was scored has moved from what was learned."""
        asked = meant(watch.MeasureDrift, input, **started(info, input))
        return MeasureDriftPayload(run=Run.of(await watch.measure_drift(info.context.store, asked, **changing(info))))

    @strawberry.mutation
    async def measure_quality(self, info: Info, input: MeasureQualityInput) -> MeasureQualityPayload:
        """Measure a model on what it has predicted, now that the labels are there."""
        chosen = {each.name: each.id for each in input.datasets}
        asked = meant(watch.MeasureQuality, input, datasets=chosen, **started(info, input))
        run = await watch.measure_quality(info.context.store, asked, **changing(info))
        return MeasureQualityPayload(run=Run.of(run))
