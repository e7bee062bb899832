"""Features defined again over other versions of their datasets, and the feature set that they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lineage.artifacts import Artifact, Edge
from lineage.data import features as sql
from lineage.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class Redefined:
    """A feature set with its features, over the datasets that were chosen, and all their edges."""

    feature_set: Artifact
    features: Sequence[Artifact]
    edges: Sequence[Edge]


def redefine(base: Artifact, members: Mapping[str, Artifact], datasets: Mapping[str, Artifact]) -> Redefined:
    """The features of *base*, by name and in its order, resolved against *datasets*.

    Args:
        members: the definition of each feature, of the label, and of those that they use, by name.
        datasets: by name, all that the members use.

    Raises:
        InvalidInput: a column that a feature uses is not there any more, or has another type.
    """
    made: dict[str, Artifact] = {}
    edges: list[Edge] = []
    for name in _inner_first(members):
        old = members[name]
        definition = sql.FeatureInput(
            name=name,
            sql=old.body["sql"],
            source=old.body["source"],
            entity=tuple(str(key["sql"]) for key in old.body["keys"]),
            namespace=old.namespace,
            description=old.description,
            tags=tuple(old.tags),
        )
        wanted = {each: datasets[each] for each in sql.tables(definition.source)}
        made[name], links = sql.resolve(definition, wanted, made)
        edges += links
    label = base.body.get("label_name")
    feature_set, links = sql.feature_set(
        base.name,
        [made[name] for name in base.body["names"]],
        made[label] if label else None,
        namespace=base.namespace,
        description=base.description,
        tags=tuple(base.tags),
    )
    return Redefined(feature_set=feature_set, features=list(made.values()), edges=[*edges, *links])


def _inner_first(members: Mapping[str, Artifact]) -> list[str]:
    """The names of *members*, each behind those that it uses."""
    order: list[str] = []

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above or name not in members:
            raise InvalidInput(f"the feature {name!r} cannot be defined again: it is not there, or uses itself")
        for inner in sql.references(members[name].body["sql"]):
            add(inner, (*above, name))
        if name not in order:
            order.append(name)

    for name in members:
        add(name, ())
    return order
