"""From what is affected, and what takes the place of its inputs, to steps in the order of their dependencies.

Pure: nothing here reads the graph; lineage.cycle.survey does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from typing import Any

from lineage.artifacts import ArtifactKind, canonical
from lineage.plans import Source, Step, StepState

NOTHING_NEWER = "none of its inputs has anything newer"


@dataclass(frozen=True, kw_only=True)
class Item:
    """An artifact that would be made again: its inputs as they were, and what is chosen in their place.

    The *recorded* of a source may be another item: then what is made of that one is taken.
    """

    id: str
    kind: ArtifactKind
    namespace: str = "default"
    name: str
    sources: Sequence[Source] = ()
    spec: Mapping[str, Any] = field(default_factory=dict)
    executor: str = "process"
    seconds: float | None = None
    #: Why it cannot be made, where that is known beforehand.
    blockers: Sequence[str] = ()


def arrange(items: Iterable[Item], *, goals: Iterable[str]) -> tuple[Step, ...]:
    """The steps that make *items* again: each once, behind all that it depends on, the same for any order of *items*.

    An item whose inputs are what they were is left as it is, unless it is one of the *goals*: then it is blocked, for
    it would come out the same. Items that would be made in the same way are one step. What depends on a step that is
    blocked is blocked.

    Raise graphlib.CycleError when items depend on each other in a circle.
    """
    known, wanted = {item.id: item for item in items}, set(goals)
    steps: dict[str, Step] = {}  # by what makes two of them the same
    where: dict[str, int] = {}  # item → the number of its step
    for id in _order(known):
        item = known[id]
        sources = tuple(_resolved(each, where) for each in item.sources)
        blockers = [*item.blockers, *_blocked(sources, steps)]
        if not any(_is_new(each) for each in sources) and not item.blockers:
            if id not in wanted:
                continue
            blockers.append(NOTHING_NEWER)
        key = canonical([item.kind, item.namespace, item.name, item.spec, item.executor, _signature(sources)])
        same = steps.get(key)
        number = same.number if same else len(steps) + 1
        made = replace(same, of=(*same.of, id)) if same else _step(number, item, sources, blockers, steps)
        steps[key], where[id] = made, number
    return tuple(steps.values())


def _order(items: Mapping[str, Item]) -> Iterable[str]:
    """The items, each behind those that it depends on; side by side they go by kind and name."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for id, item in items.items():
        before = {each.recorded for each in item.sources if each.recorded is not None}
        sorter.add(id, *(before & items.keys() - {id}))  # the definition of a feature set is its former self
    sorter.prepare()
    kinds = list(ArtifactKind)
    while sorter.is_active():
        level = sorter.get_ready()
        yield from sorted(level, key=lambda id: (kinds.index(items[id].kind), items[id].namespace, items[id].name, id))
        sorter.done(*level)


def _resolved(source: Source, where: Mapping[str, int]) -> Source:
    number = where.get(source.recorded or "")
    return source if number is None else replace(source, chosen=None, step=number)


def _is_new(source: Source) -> bool:
    return source.step is not None or source.chosen != source.recorded


def _blocked(sources: Sequence[Source], steps: Mapping[str, Step]) -> list[str]:
    dead = {step.number for step in steps.values() if step.state is StepState.BLOCKED}
    return [f"step {number} is blocked" for number in sorted(dead & {each.step for each in sources})]


def _signature(sources: Sequence[Source]) -> list[list[Any]]:
    return [[each.role, each.chosen, each.step] for each in sorted(sources, key=lambda each: each.role)]


def _step(
    number: int, item: Item, sources: Sequence[Source], blockers: Sequence[str], steps: Mapping[str, Step]
) -> Step:
    before = {each.step for each in sources if each.step is not None}
    level = 1 + max((step.level for step in steps.values() if step.number in before), default=-1)
    return Step(
        number=number,
        kind=item.kind,
        namespace=item.namespace,
        name=item.name,
        of=(item.id,),
        sources=tuple(sources),
        spec=item.spec,
        executor=item.executor,
        level=level,
        seconds=item.seconds,
        blockers=tuple(blockers),
        state=StepState.BLOCKED if blockers else StepState.WAITING,
    )


def reached(starts: Iterable[str], depends: Iterable[tuple[str, str]]) -> set[str]:
    """Everything that depends on *starts*, themselves included, along pairs of (what depends, on what)."""
    dependents: dict[str, list[str]] = {}
    for source, target in depends:
        dependents.setdefault(target, []).append(source)
    found = set(starts)
    waiting = list(found)
    while waiting:
        fresh = [each for each in dependents.get(waiting.pop(), ()) if each not in found]
        found.update(fresh)
        waiting += fresh
    return found
