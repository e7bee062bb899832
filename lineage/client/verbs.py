"""The verbs that change something: what is defined, what starts a run, what is moved."""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, TypedDict, Unpack

from lineage.client import sources
from lineage.client.artifacts import Artifact, Promotion
from lineage.client.runs import Run
from lineage.client.session import Ref, Session, cased, id_of


class Labels(TypedDict, total=False):
    """What every definition may be given beside its name."""

    namespace: str
    description: str | None
    tags: Sequence[str]


class Options(TypedDict, total=False):
    """What everything that starts a run may be given."""

    idempotency_key: str | None
    executor: str
    resources: Mapping[str, Any] | None
    max_attempts: int


class Named(Labels, Options, total=False):
    """Both: for what starts a run that makes a named thing."""


class Surroundings(Named, total=False):
    """What an environment may have beside packages for pip."""

    conda: Mapping[str, Sequence[str]] | None
    system_packages: Sequence[str]
    base_image: str | None
    command: Sequence[str]


class Learning(Named, total=False):
    """What training and tuning share beside what they name."""

    hyperparameters: Mapping[str, Any]
    evaluate_on: str
    seed: int


class Searching(Learning, total=False):
    """What tuning may be given on top."""

    objective: str | None
    trials: int
    parallel: int
    sampler: str
    pruner: str
    max_failed_trials: int | None
    trial_seconds: float | None


class Verbs(Session):
    """Everything that changes the graph; the same content twice gives the same node."""

    # What is defined at once

    def define_feature(
        self,
        name: str,
        sql: str,
        source: str,
        entity: Sequence[str],
        datasets: Mapping[str, str] | None = None,
        **labels: Unpack[Labels],
    ) -> Artifact:
        """Define a feature: one SQL expression over the columns of a FROM clause; *datasets* pins versions by name."""
        pinned = [{"name": dataset, "version": version} for dataset, version in (datasets or {}).items()]
        return self._define(
            "define_feature", name=name, sql=sql, source=source, entity=entity, datasets=pinned, **labels
        )

    def define_feature_set(
        self, name: str, features: Sequence[Ref], label: Ref | None = None, **labels: Unpack[Labels]
    ) -> Artifact:
        """Define what a model needs: features in order, and the label."""
        ids = [id_of(feature) for feature in features]
        return self._define(
            "define_feature_set", name=name, features=ids, label=None if label is None else id_of(label), **labels
        )

    def register_model_code(
        self,
        name: str,
        path: str | FilePath,
        entry: str,
        contract: str = "build",
        feature_set: Ref | None = None,
        notebook: str | FilePath | None = None,
        **labels: Unpack[Labels],
    ) -> Artifact:
        """Register a source tree (a folder, or one file), with the commit that it stands at.

        Args:
            notebook: the .ipynb that it comes from; inside of Jupyter, the one that calls this.
        """
        path = FilePath(path)
        feature_id = None if feature_set is None else id_of(feature_set)
        files, git = sources.read(path), sources.git(path)
        return self._define(
            "register_model_code",
            name=name,
            entry=entry,
            contract=contract,
            files=files,
            git=git,
            feature_set=feature_id,
            notebook=sources.notebook(notebook),
            **labels,
        )

    def define_search_space(self, name: str, parameters: Mapping[str, Any], **labels: Unpack[Labels]) -> Artifact:
        """Define the hyperparameters that may be tuned."""
        return self._define("define_search_space", name=name, parameters=parameters, **labels)

    def define_metric(
        self,
        name: str,
        metric: str | None = None,
        threshold: float | None = None,
        min_absolute_change: float | None = None,
        min_relative_change: float | None = None,
        **labels: Unpack[Labels],
    ) -> Artifact:
        """Define a metric to collect, and what a model must reach to be promoted."""
        return self._define(
            "define_metric",
            name=name,
            metric=metric or name,
            threshold=threshold,
            min_absolute_change=min_absolute_change,
            min_relative_change=min_relative_change,
            **labels,
        )

    # What starts a run

    def register_dataset(
        self,
        name: str,
        uri: str | FilePath,
        format: str | None = None,
        null_values: Sequence[str] | None = None,
        **given: Unpack[Named],
    ) -> Run:
        """Read a dataset where it lies: schema, statistics, digest."""
        where = str(uri) if "://" in str(uri) else str(FilePath(uri).expanduser().absolute())
        return self._start("register_dataset", name=name, uri=where, format=format, null_values=null_values, **given)

    def create_training_set(
        self, name: str, feature_set: Ref, split: Mapping[str, Any], where: str | None = None, **given: Unpack[Named]
    ) -> Run:
        """Write a feature set's splits as Parquet; *split* is a rule by RATIO, HASH or TIME."""
        return self._start(
            "create_training_set", name=name, feature_set=id_of(feature_set), split=cased(split), where=where, **given
        )

    def register_environment(
        self,
        name: str,
        packages: Sequence[str] = (),
        version: str | None = None,
        language: str = "python",
        **given: Unpack[Surroundings],
    ) -> Run:
        """Resolve packages to a lock with hashes; *version* is that of the language.

        *conda* has `channels` and `packages`; another language needs a *base_image* and the *command* in it.
        """
        return self._start(
            "register_environment", name=name, packages=packages, version=version, language=language, **given
        )

    def import_environment(self, text: str, name: str | None = None, **given: Unpack[Named]) -> Run:
        """Register what an environment.yml, given as its *text*, asks for."""
        return self._start("import_environment", text=text, name=name, **given)

    def build_environment(self, environment: Ref, **given: Unpack[Options]) -> Run:
        """Make an environment ready for the runs of an executor."""
        return self._start("build_environment", environment=id_of(environment), **given)

    def train(
        self,
        name: str,
        training_set: Ref,
        model_code: Ref,
        environment: Ref,
        metrics: Sequence[Ref],
        search_space: Ref | None = None,
        **given: Unpack[Learning],
    ) -> Run:
        """Fit one model and evaluate it; with a search space, the hyperparameters must be ones that it has."""
        inputs = _inputs(training_set, model_code, environment, metrics)
        space = id_of(search_space) if search_space else None
        return self._start("train", name=name, search_space=space, **inputs, **given)

    def tune(
        self,
        name: str,
        training_set: Ref,
        model_code: Ref,
        environment: Ref,
        metrics: Sequence[Ref],
        search_space: Ref,
        **given: Unpack[Searching],
    ) -> Run:
        """Search for the best hyperparameters, then fit and evaluate them."""
        inputs = _inputs(training_set, model_code, environment, metrics)
        return self._start("tune", name=name, search_space=id_of(search_space), **inputs, **given)

    def evaluate(
        self,
        model: Ref,
        metrics: Sequence[Ref],
        training_set: Ref | None = None,
        split: str = "test",
        **given: Unpack[Options],
    ) -> Run:
        """Measure a model on a split."""
        other = None if training_set is None else id_of(training_set)
        ids = [id_of(metric) for metric in metrics]
        return self._start("evaluate", model=id_of(model), metrics=ids, training_set=other, split=split, **given)

    def score(
        self,
        name: str,
        model: Ref,
        where: str | None = None,
        datasets: Mapping[str, Ref] | None = None,
        **given: Unpack[Named],
    ) -> Run:
        """Score rows in batch: those that meet *where*, of the model's datasets or of the versions given by name."""
        chosen = [{"name": each, "id": id_of(dataset)} for each, dataset in (datasets or {}).items()]
        return self._start("score", name=name, model=id_of(model), where=where, datasets=chosen, **given)

    # What changes what is there

    def promote(
        self,
        model: Ref,
        alias: str = "champion",
        *,
        force: bool = False,
        reason: str | None = None,
        expected: Ref | None = None,
    ) -> Promotion:
        """Move an alias to a model that has passed its thresholds; raise Conflict when it has not.

        Args:
            expected: what the alias is seen to point to, "" for nothing yet; raise Conflict when it was moved since.
        """
        seen = None if expected is None else id_of(expected)
        given = {"alias": alias, "force": force, "reason": reason, "expected": seen}
        return Promotion.read(self._mutate("promote", model=id_of(model), **given))

    def cancel_run(self, run: Ref) -> Run:
        """Ask a run to stop."""
        return Run.read(self._mutate("cancel_run", id=id_of(run))["run"])

    def retract(self, artifact: Ref, reason: str) -> Artifact:
        """Mark an artifact as withdrawn; it stays, as a tombstone."""
        return Artifact.read(self._mutate("retract", id=id_of(artifact), reason=reason)["artifact"])

    def record_lineage(
        self,
        nodes: Sequence[Mapping[str, Any]] = (),
        edges: Sequence[Mapping[str, Any]] = (),
        producer: str | None = None,
        *,
        keep_rest: bool = False,
    ) -> dict[str, Any]:
        """Record lineage of another system in bulk; how many nodes and edges it was, and what of it was refused.

        Without *keep_rest* a bad item is an error that names it, and nothing is recorded.
        """
        given = {"nodes": list(nodes), "edges": list(edges), "producer": producer, "keep_rest": keep_rest}
        return self._mutate("record_lineage", **given)

    def _define(self, verb: str, **input: Any) -> Artifact:
        (found,) = self._mutate(verb, **input).values()
        return Artifact.read(found)

    def _start(self, verb: str, **input: Any) -> Run:
        # A key of its own makes it safe to send again what may have arrived.
        key = input.pop("idempotency_key", None) or uuid.uuid4().hex
        return Run.read(self._mutate(verb, **input, idempotency_key=key)["run"])


def _inputs(training_set: Ref, model_code: Ref, environment: Ref, metrics: Sequence[Ref]) -> dict[str, Any]:
    single = {"training_set": training_set, "model_code": model_code, "environment": environment}
    return {name: id_of(ref) for name, ref in single.items()} | {"metrics": [id_of(metric) for metric in metrics]}
