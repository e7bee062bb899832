"""The inputs of mutations, shaped as the domain's own; `meant` turns one into the other."""

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, TypeVar

import strawberry
from strawberry.scalars import JSON

from api.context import Info
from api.sdl import Long, input_type
from lineage import requests
from lineage.errors import InvalidInput

T = TypeVar("T")


def meant(cls: type[T], input: Any, **changes: Any) -> T:
    """The domain's *cls* with the fields that *input* has under the same names; *changes* win."""
    known = {field.name: getattr(input, field.name) for field in fields(cls) if hasattr(input, field.name)}  # type: ignore[arg-type]
    return cls(**(known | changes))


def mapping(value: Any, field: str) -> Mapping[str, Any]:
    """*value* if it is a JSON object, an empty one for null; raise InvalidInput naming *field* for other JSON."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{field} must be a JSON object", field=field)
    return value


@input_type
class Named:
    """What every definition has: a name in a namespace, and words about it."""

    name: str
    namespace: str = "default"
    description: str | None = None
    tags: list[str] = strawberry.field(default_factory=list)


@input_type
class ResourcesInput:
    """What one run may take: memory, time, processes with threads, processors (1.5 is one and a half), disk, network.

    In containers memory, processes, processors and disk are those of each slot, and there is no network unless asked
    for. Processes side by side share memory and processes; they are not held to processors, disk and network.
    """

    memory_bytes: Long | None = None
    seconds: float | None = None
    processes: int | None = None
    cpus: float | None = None
    disk_bytes: Long | None = None
    network: bool = False


@input_type
class Started:
    """What every request for a run may say; the same idempotency key gives the first run back."""

    idempotency_key: str | None = None
    executor: str | None = None
    resources: ResourcesInput | None = None
    max_attempts: int = 2


def started(info: Info, input: Any) -> dict[str, Any]:
    """Where a run that *input* asks for is done, and with what."""
    given = input.resources
    return {
        "executor": input.executor or info.context.services.settings.executor,
        "resources": meant(requests.Resources, given) if given else requests.Resources(),
    }


@input_type
class RegisterDatasetInput(Named, Started):
    """A dataset to be read where it lies: a path or an address of CSV or Parquet files."""

    uri: str
    format: str | None = None
    null_values: list[str] | None = None


@input_type
class DatasetVersionInput:
    """A dataset by its name, pinned to a version."""

    name: str
    version: str


@input_type
class DefineFeatureInput(Named):
    """One SQL expression over the columns of a source, for each entity; datasets not pinned are the newest."""

    sql: str
    source: str
    entity: list[str]
    datasets: list[DatasetVersionInput] = strawberry.field(default_factory=list)


@input_type
class DefineFeatureSetInput(Named):
    """The features that a model needs, by id and in order, and the one that it learns to predict."""

    features: list[strawberry.ID]
    label: strawberry.ID | None = None


@strawberry.enum(description="How rows are split: by share at random, by a hash of the entity, by time.")
class SplitBy(Enum):
    """How rows are split."""

    RATIO = "RATIO"
    HASH = "HASH"
    TIME = "TIME"


@input_type
class SplitInput:
    """A rule: shares and a seed for RATIO and HASH, a column and two moments for TIME."""

    by: SplitBy
    validate: float | None = None
    test: float | None = None
    seed: int | None = None
    column: str | None = None
    validate_from: str | None = None
    test_from: str | None = None
    until: str | None = None

    def rule(self) -> dict[str, Any]:
        """The rule as the domain reads it."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return given | {"by": self.by.value}


@input_type
class CreateTrainingSetInput(Named, Started):
    """A feature set to be materialised; *where* is a condition on rows."""

    feature_set: strawberry.ID
    split: SplitInput
    where: str | None = None


@input_type
class SourceFileInput:
    """One file of a source tree: text, or base64 of its bytes."""

    path: str
    content: str
    is_base64: bool = False


@input_type
class GitInput:
    """Where source code comes from."""

    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    remote: str | None = None


@input_type
class RegisterModelCodeInput(Named):
    """A source tree with an entry point file.py:function that follows the contract build, train or spark."""

    entry: str
    files: list[SourceFileInput]
    contract: str = "build"
    git: GitInput | None = None
    feature_set: strawberry.ID | None = None
    notebook: SourceFileInput | None = strawberry.field(default=None, description="The .ipynb that it comes from.")


@input_type
class CondaInput:
    """Packages from channels of conda: names of channels, or their addresses, the most trusted first."""

    channels: list[str]
    packages: list[str]


@input_type
class RegisterEnvironmentInput(Named, Started):
    """An environment by what it should have: a language, its version, packages with or without versions.

    Another language than python brings its own image, and the command in it that speaks the run protocol.
    """

    packages: list[str] = strawberry.field(default_factory=list)
    language: str = "python"
    version: str | None = None
    conda: CondaInput | None = None
    system_packages: list[str] = strawberry.field(default_factory=list)
    base_image: str | None = None
    command: list[str] = strawberry.field(default_factory=list)


@input_type
class ImportEnvironmentInput(Started):
    """An environment by the text of its environment.yml; the name is the file's own unless one is given."""

    text: str
    name: str | None = None
    namespace: str = "default"
    description: str | None = None
    tags: list[str] = strawberry.field(default_factory=list)


@input_type
class BuildEnvironmentInput(Started):
    """An environment to be made ready where an executor runs it: a virtual environment, an image."""

    environment: strawberry.ID


@input_type
class DefineSearchSpaceInput(Named):
    """The hyperparameters that may be tuned: each by its name, with type and range or choices."""

    parameters: JSON


@input_type
class DefineMetricInput(Named):
    """A metric to collect, and what a model must reach to be promoted."""

    metric: str
    threshold: float | None = None
    min_absolute_change: float | None = None
    min_relative_change: float | None = None


@input_type
class TrainInput(Named, Started):
    """A model to be fitted with given hyperparameters (those of a search space when one is named), and evaluated."""

    training_set: strawberry.ID
    model_code: strawberry.ID
    environment: strawberry.ID
    metrics: list[strawberry.ID]
    hyperparameters: JSON | None = None
    search_space: strawberry.ID | None = None
    evaluate_on: str = "test"
    seed: int = 0


@input_type
class TuneInput(TrainInput):
    """A search for the best hyperparameters by the first metric or *objective*; the best is fitted as in train.

    It ends as soon as more than *max_failed_trials* have failed; a trial fails after *trial_seconds*.
    Parameters of the space that *hyperparameters* names are held at the values given.
    """

    search_space: strawberry.ID = strawberry.field()  # which TrainInput may do without
    objective: str | None = None
    trials: int = 20
    parallel: int = 2
    sampler: str = "tpe"
    pruner: str = "median"
    max_failed_trials: int | None = None
    trial_seconds: float | None = None


@input_type
class EvaluateInput(Started):
    """A model to be measured on a split of a training set; by default of the one that it was trained on."""

    model: strawberry.ID
    metrics: list[strawberry.ID]
    training_set: strawberry.ID | None = None
    split: str = "test"


@input_type
class DatasetIdInput:
    """A version of a dataset, for the name that the feature set knows it by."""

    name: str
    id: strawberry.ID


@input_type
class ScoreInput(Named, Started):
    """Rows to be scored in batch: those of the feature set's datasets, or of newer versions, that meet *where*."""

    model: strawberry.ID
    where: str | None = None
    datasets: list[DatasetIdInput] = strawberry.field(default_factory=list)


@input_type
class PromoteInput:
    """Which model gets which alias; *force* moves it though a bar was missed, and then wants a reason.

    With *expected*, the id that the alias is seen to point to ("": to nothing yet), it is a CONFLICT when somebody has
    moved it since; left out, it is moved from wherever it points.
    """

    model: strawberry.ID
    alias: str = "champion"
    force: bool = False
    reason: str | None = None
    expected: strawberry.ID | None = None


@input_type
class CancelRunInput:
    """The run that should stop."""

    id: strawberry.ID


@input_type
class RetractInput:
    """The artifact that should not be used any more, and why."""

    id: strawberry.ID
    reason: str
