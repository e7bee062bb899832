"""Staging: what an image is to hold, fetched and laid out on the worker, so that the build needs no network.

The credentials of an index or a channel are used here and nowhere else.
"""

from collections.abc import Sequence
from pathlib import Path

from anyio.to_thread import run_sync

from executors import conda, environments
from executors.base import Log
from executors.containers import layers
from executors.containers.recipe import PREFIX
from lineage.errors import ExecutionFailed
from lineage.settings import Settings


async def stage(
    folder: Path,
    lock: str,
    *,
    version: str,
    asked: Sequence[str],
    target: str,
    settings: Settings,
    log: Log,
) -> list[layers.Layer]:
    """The layers of a *lock* for the platform *target*, in uv's words; their files lie in *folder*.

    Raises:
        ExecutionFailed: ENVIRONMENT when a package cannot be had for that platform.
    """
    theirs, requirements = conda.divided(lock)
    found: list[layers.Layer] = []
    python = None
    if theirs:
        await conda.install(theirs, folder / "conda", settings=settings, log=log, prefix=PREFIX)
        packages = await run_sync(layers.of_conda, folder / "conda")
        found += layers.layers(folder / "conda", packages, (), prefix="conda-")
    if not requirements.strip():
        return found
    if conda.brings_python(theirs):  # once more, for this place: pip's packages are installed by it
        await conda.install(theirs, folder / "python", settings=settings, log=log)
        python = folder / "python" / "bin" / "python"
    root = folder / "environment"
    await environments.install(
        root, requirements, version=version, settings=settings, log=log, target=target, python=python
    )
    packages = await run_sync(layers.installed, root)
    _check(packages, target)
    return found + layers.layers(root, packages, asked)


def _check(packages: Sequence[layers.Installed], target: str) -> None:
    """Raise ExecutionFailed for a package that was built for this machine, where the image is another."""
    machine, _, system = target.partition("-")
    for package in packages:
        for tag in package.platforms:
            built_here = not tag.startswith(("any", "manylinux", "musllinux"))
            if built_here and (tag != f"linux_{machine}" or "musl" in system):
                message = f"{package.name} has no wheel for {target}, and what is built from its source here is {tag}"
                raise ExecutionFailed(message, reason="ENVIRONMENT")
