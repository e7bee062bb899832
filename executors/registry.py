"""Executors by name: ours, and those that other distributions add by the entry point group `lineage.executors`."""

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from executors.base import Executor
from lineage.errors import InvalidInput
from lineage.settings import Settings

GROUP = "lineage.executors"

#: Name → "module:attribute", imported only when chosen.
BUILT_IN = {
    "process": "executors.process:ProcessExecutor",
    "docker": "executors.docker:DockerExecutor",
    "spark_yarn": "executors.spark_yarn:SparkYarnExecutor",
}


def names() -> list[str]:
    """The executors that can be chosen, sorted."""
    return sorted({*BUILT_IN, *entry_points(group=GROUP).names})


def load(name: str, settings: Settings) -> Executor:
    """The executor *name*, made with *settings*; raise InvalidInput when there is none or it cannot be imported."""
    target = BUILT_IN.get(name) or _added(name)
    if target is None:
        raise InvalidInput.unknown("executor", name, names(), field="executor")
    return cast(Executor, _imported(name, target)(settings))


def _added(name: str) -> str | None:
    found: list[EntryPoint] = list(entry_points(group=GROUP, name=name))
    return found[0].value if found else None


def _imported(name: str, target: str) -> Any:
    module_name, _, attribute = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise InvalidInput(f"executor {name!r}: there is no module {module_name!r}", field="executor") from error
        message = f"executor {name!r} needs the package of {error.name!r}, which is not installed"
        raise InvalidInput(message, field="executor") from error
    except ImportError as error:
        raise InvalidInput(f"executor {name!r}: importing {module_name!r} fails: {error}", field="executor") from error
    if not hasattr(module, attribute):
        raise InvalidInput(f"executor {name!r}: {module_name!r} has no {attribute!r}", field="executor")
    return getattr(module, attribute)
