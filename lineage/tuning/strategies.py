"""Samplers and pruners by name, seeded so that a search can be repeated.

A sampler is made anew for each trial, with a seed that follows from the study's seed and the trial's number. So the
sequence of parameters does not depend on which process asks, nor on how often one was started again.
"""

import hashlib
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from lineage.errors import InvalidInput
from lineage.searchspace import SearchSpace

#: name → sampler of (the study's seed, the trial's seed).
SAMPLERS: Mapping[str, Callable[[int, int], BaseSampler]] = {
    "tpe": lambda study, trial: TPESampler(seed=trial, constant_liar=True),
    "random": lambda study, trial: RandomSampler(seed=trial),
    "qmc": lambda study, trial: QMCSampler(
        seed=study, scramble=True, independent_sampler=RandomSampler(seed=trial), warn_independent_sampling=False
    ),
    "grid": lambda study, trial: BruteForceSampler(seed=trial),
    "cmaes": lambda study, trial: CmaEsSampler(seed=trial, warn_independent_sampling=False),
    "gp": lambda study, trial: GPSampler(seed=trial),
}
#: What some samplers need beside Optuna.
NEEDS = {"cmaes": "cmaes", "gp": "torch"}

PRUNERS: Mapping[str, Callable[[], BasePruner]] = {
    "median": MedianPruner,
    "percentile": lambda: PercentilePruner(25.0),
    "hyperband": HyperbandPruner,
    "successive_halving": SuccessiveHalvingPruner,
    "none": NopPruner,
}

_making = threading.Lock()  # the filters of warnings belong to the whole process


def check_names(*, sampler: str, pruner: str) -> None:
    """Raise InvalidInput for a sampler or a pruner that is unknown, or that needs what is not installed."""
    if sampler not in SAMPLERS:
        raise InvalidInput.unknown("sampler", sampler, list(SAMPLERS), field="sampler")
    if pruner not in PRUNERS:
        raise InvalidInput.unknown("pruner", pruner, list(PRUNERS), field="pruner")
    package = NEEDS.get(sampler)
    if package is not None and find_spec(package) is None:
        message = f"the sampler {sampler!r} needs the package {package!r}, which is not installed beside lineage"
        raise InvalidInput(message, field="sampler")


def make_sampler(name: str, *, seed: int, number: int) -> BaseSampler:
    """The sampler *name* for the trial *number* of a study with this *seed*."""
    with _making, warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](seed, seed_of(seed, number))


def make_pruner(name: str) -> BasePruner:
    """The pruner *name*."""
    return PRUNERS[name]()


def seed_of(seed: int, number: int) -> int:
    """The seed of one trial: 32 bits that follow from the study's seed and the trial's number."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4], "big")


def count_points(space: SearchSpace, *, most: int) -> int:
    """How many points a finite *space* has, counted up to *most*.

    Raise InvalidInput for a parameter without steps: a grid over it would have no end.
    """
    path: list[int] = []
    for count in range(1, most + 1):
        walk = _Walk(path)
        space.suggest(walk)
        path, sizes = walk.path, walk.sizes
        while path and path[-1] + 1 == sizes[len(path) - 1]:
            path.pop()
        if not path:
            return count
        path[-1] += 1
    return most


class _Walk:
    """A trial that takes the options along *path*, and the first of each behind its end."""

    def __init__(self, path: Sequence[int]) -> None:
        self.path, self.sizes = list(path), list[int]()

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[self._index(len(choices))]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return low + step * self._index((high - low) // step + 1)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if step is None:
            raise InvalidInput(f"a grid needs a step for {name!r}; without one it has no end", field="sampler")
        return low + step * self._index(round((high - low) / step) + 1)

    def _index(self, size: int) -> int:
        self.sizes.append(size)
        if len(self.sizes) > len(self.path):
            self.path.append(0)
        return self.path[len(self.sizes) - 1]
