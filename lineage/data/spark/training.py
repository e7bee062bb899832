"""A training set as an application of Spark makes it: the definition that DuckDB has, as SQL and settings in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lineage.artifacts import Artifact
from lineage.data import assignment, frames, splits, tables
from lineage.data.frames import Plan
from lineage.data.rules import By, SplitRule
from lineage.data.spark import frame, types
from lineage.data.statistics import FLOATS, is_nested
from lineage.data.tables import literal
from lineage.errors import InvalidInput


def definition(plan: Plan, rule: SplitRule, *, where: str | None, time: tuple[str, str] | None) -> dict[str, Any]:
    """What executors/spark_yarn/inside/frame.py is told of a training set; see `frame.definition`.

    Args:
        time: what a split by time goes by, and its DuckDB type.
    """
    assert plan.label is not None
    return {
        **frame.definition(plan, where=where, extra=time[0] if time else None),
        "unlabelled": _unlabelled(plan),
        "counted": plan.label.type not in FLOATS,
        "label": types.cast("y", plan.label.type, "VARCHAR") if plan.label.type not in FLOATS else "CAST(y AS STRING)",
        "limit": splits.VALUES_LIMIT,
        "splits": rule.splits,
        "rule": _by_time(rule, time) if time else _by_key(plan, rule),
    }


def _unlabelled(plan: Plan) -> str:
    assert plan.label is not None
    infinite = " OR isnan(y) OR abs(y) = double('infinity')" if plan.label.type in FLOATS else ""
    return f"(y IS NULL{infinite})"


def _by_key(plan: Plan, rule: SplitRule) -> dict[str, Any]:
    """The number of a key as `lineage.data.assignment` has it, and the bounds of the splits."""
    texts = []
    for slot, column in zip(frames.key_slots(plan), plan.columns, strict=False):
        text = types.cast(slot, column["type"], "VARCHAR")
        texts.append(f"CASE WHEN {slot} IS NULL THEN 'n' ELSE concat(char_length({text}), ':', {text}) END")
    key = f"concat({types.text(f'{rule.seed}:')}, {', '.join(texts)})"
    number = f"CAST(conv(substring(md5({key}), 1, {assignment.DIGITS}), 16, 10) AS BIGINT)"
    if rule.by is By.HASH:
        return {"number": number, "bounds": assignment.bounds(rule)}
    return {"number": number, "shares": [rule.test, rule.validate], "end": 16**assignment.DIGITS}


def _by_time(rule: SplitRule, time: tuple[str, str]) -> dict[str, Any]:
    """The instants between the splits, read by DuckDB and written as Spark reads them."""
    type_ = time[1]
    with tables.connect(field="split") as connection:
        given = assignment.instants(connection, rule, type_)
        plain = {
            name: str(tables.row(connection, f"SELECT CAST(CAST({literal(value)} AS {type_}) AS VARCHAR)")[0])
            for name, value in given.items()
        }
    return {"times": {name: types.cast(types.text(value), "VARCHAR", type_) for name, value in plain.items()}}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A training set that Spark is to make: its plan, and what the application is told."""

    plan: Plan
    rule: SplitRule
    where: str | None
    definition: Mapping[str, Any]

    def body(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """The body of the TrainingSet but for its files, from what the application has *made*.

        Raises:
            InvalidInput: a split has no rows, or the label one value.
        """
        splits.check_counts(self.rule, made["rows"])
        splits.check_values(self.plan, made["values"])
        told = {name: made[name] for name in ("dropped", "label_counts", "duplicate_keys", "null_keys", "overlap")}
        return splits.described(self.plan, self.rule, self.where) | told


async def wanted(
    feature_set: Artifact,
    features: Mapping[str, Artifact],
    datasets: Mapping[str, Artifact],
    rule: SplitRule,
    *,
    where: str | None = None,
) -> Wanted:
    """Lay a training set out for Spark; raise InvalidInput for what Spark cannot do as DuckDB does."""

    def lay_out() -> Wanted:
        plan, kept, time = splits.lay_out(feature_set, features, datasets, rule, where)
        assert plan.label is not None
        if is_nested(plan.label.type):
            raise InvalidInput(f"a label of type {plan.label.type} cannot be learned", field="featureSet")
        told = definition(plan, rule, where=kept, time=time)
        return Wanted(plan=plan, rule=rule, where=kept, definition=told)

    return await tables.in_thread(lay_out)
