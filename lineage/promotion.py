"""Promotion: an alias moves to a model that has reached its bars, and the graph remembers since when and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind, asset_id
from lineage.errors import Conflict, InvalidInput
from lineage.store import Store
from lineage.watch import Watch, watch_of

ALIAS_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class Promote:
    """Which model gets which alias; *force* moves it though a bar was missed, and then wants a *reason*.

    *expected* is the id that the alias must point to, "" for none; None moves it from wherever it points.
    """

    model: str
    alias: str = "champion"
    force: bool = False
    reason: str | None = None
    expected: str | None = None


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """An alias that moved: from which version (None: it is new) to which, on what evidence."""

    asset: str
    alias: str
    model: Artifact
    former: str | None
    evaluation: Artifact | None
    verdicts: Sequence[Mapping[str, Any]]


async def promote(store: Store, input: Promote, *, by: str, now: datetime) -> Promotion:
    """Move an alias to a model; raise Conflict when no evaluation has passed, unless it is forced with a reason.

    Raise Conflict, too, when the alias does not point to what was expected.
    """
    model = await store.artifacts.one(input.model, ArtifactKind.MODEL)
    check_alias(input.alias)
    if input.force and not (input.reason or "").strip():
        raise InvalidInput("a promotion that is forced must say why", field="reason")
    if model.retracted_at is not None:
        raise Conflict(f"model {model.name!r} {model.version} was retracted: {model.retracted_reason}")
    evaluation = await latest_evaluation(store, model)
    verdicts = list(evaluation.body.get("verdicts", ())) if evaluation else []
    if not input.force:
        _require_pass(model, evaluation, verdicts)
    reason = input.reason or (f"passed in {evaluation.id}" if evaluation else None)
    former = await store.artifacts.set_alias(
        model.id, input.alias, now=now, by=by, reason=reason, expected=input.expected
    )
    return Promotion(
        asset=asset_id(model.kind, model.namespace, model.name),
        alias=input.alias,
        model=model,
        former=former,
        evaluation=evaluation,
        verdicts=verdicts,
    )


def check_alias(alias: str) -> None:
    """Raise InvalidInput unless *alias* is one that can be typed anywhere."""
    if not alias or len(alias) > ALIAS_LENGTH or not alias.replace("-", "").isalnum():
        raise InvalidInput("an alias has letters, digits and dashes", field="alias")


async def latest_evaluation(store: Store, model: Artifact) -> Artifact | None:
    """The evaluation of *model* that was recorded last and not retracted, or None; drift says nothing of a model."""
    edges = await store.artifacts.dependencies([model.id])
    ids = [edge["target"] for edge in edges if edge["type"] == "EVALUATED_BY"]
    known = (await store.artifacts.by_ids(ids)).values()
    found = [each for each in known if each.retracted_at is None and watch_of(each) is not Watch.DRIFT]
    return max(found, key=lambda each: (each.created_at is not None, each.created_at, each.id), default=None)


def _require_pass(model: Artifact, evaluation: Artifact | None, verdicts: Sequence[Mapping[str, Any]]) -> None:
    if evaluation is None:
        raise Conflict(f"model {model.name!r} {model.version} was never evaluated; evaluate it, or force with a reason")
    if evaluation.body.get("passed") is None:
        raise Conflict("no metric of the evaluation has a threshold, so nothing was passed; set one, or force")
    failed = [
        f"{each['metric']} {each['value']} (threshold {each['threshold']})" for each in verdicts if not each["passed"]
    ]
    if failed or not evaluation.body["passed"]:
        raise Conflict(f"the model missed its bar: {', '.join(failed)}; force with a reason to promote it anyway")
