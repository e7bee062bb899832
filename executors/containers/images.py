"""Images of environments: built once for a digest, found again by their labels ever after."""

import json
import re
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio.to_thread import run_sync

from executors import conda
from executors.alone import alone
from executors.base import Log
from executors.containers import context, staging
from executors.containers.engine import Engine
from executors.containers.recipe import LABEL_BASE, LABEL_ENVIRONMENT, LABEL_RECIPE, PYTHON, Recipe
from executors.uv import authorities, redacted
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.errors import ExecutionFailed, LineageError, NotFound
from lineage.settings import Settings

PROBE = """
import json, platform, sysconfig
seen = {"version": platform.python_version(), "platform": sysconfig.get_platform(), "libc": platform.libc_ver()}
print(json.dumps(seen))
"""
#: The minor versions of glibc that uv knows as platforms, beginning with the oldest.
GLIBC = (17, 28, *range(31, 41))
TAIL_LINES = 30
#: Processors, as images name them and as Python does.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, kw_only=True)
class Built:
    """An image that is there."""

    #: "sha256:…", which names its exact bytes.
    id: str
    tag: str
    #: The interpreter's path inside.
    python: str
    artifact: Artifact
    edges: Sequence[Edge]


async def build(
    environment: Artifact, lock: str, *, settings: Settings, log: Log, engine: Engine | None = None
) -> Built:
    """The image of *environment*, built from its *lock* unless it is there, once however many ask.

    Raises:
        ExecutionFailed: ENVIRONMENT with the words of whoever refused, or UNAVAILABLE when the daemon, the package
            index or the registry of the base image does not answer.
    """
    engine = engine or Engine()
    recipe = Recipe.of(environment, settings)
    found = await find(engine, recipe)
    if found is None:
        home = settings.home / "images"
        home.mkdir(parents=True, exist_ok=True)
        async with alone(home / f"{recipe.digest}.lock"):
            found = await find(engine, recipe)
            if found is None:
                await _build(engine, recipe, environment, lock, settings=settings, log=log)
                found = await find(engine, recipe)
    if found is None:
        raise ExecutionFailed(f"the image {recipe.tag} was removed while it was built", reason="UNAVAILABLE")
    return _described(environment, recipe, found)


async def find(engine: Engine, recipe: Recipe) -> Mapping[str, Any] | None:
    """What the daemon knows of the image made by a recipe; of several the oldest, None when there is none."""
    return await find_by(engine, {LABEL_ENVIRONMENT: recipe.environment, LABEL_RECIPE: recipe.digest})


async def find_by(engine: Engine, labelled: Mapping[str, str]) -> Mapping[str, Any] | None:
    """What the daemon knows of the image with these labels; of several the oldest, None when there is none."""
    labels = [f"{name}={text}" for name, text in labelled.items()]
    images = await engine.ask(lambda client: client.api.images(filters={"label": labels, "dangling": False}))
    for image in sorted(images, key=lambda each: (each["Created"], each["Id"])):
        found = await inspect(engine, image["Id"])
        if found is not None:
            return found
    return None


async def inspect(engine: Engine, reference: str) -> Mapping[str, Any] | None:
    """What the daemon knows of an image; None when it is not on this machine."""
    try:
        found: Mapping[str, Any] = await engine.ask(lambda client: client.api.inspect_image(reference))
    except NotFound:
        return None
    return found


def _described(environment: Artifact, recipe: Recipe, found: Mapping[str, Any]) -> Built:
    digest = str(found["Id"]).removeprefix("sha256:")
    body = {
        "environment": environment.id,
        "base": found["Config"]["Labels"][LABEL_BASE],
        "tag": recipe.tag,
        "size": found["Size"],
        "platform": f"{found['Os']}/{found['Architecture']}",
    }
    artifact = Artifact(
        kind=ArtifactKind.IMAGE, name=environment.name, namespace=environment.namespace, digest=digest, body=body
    )
    edge = Edge(type=EdgeType.DERIVED_FROM, source=artifact.id, target=environment.id)
    return Built(id=f"sha256:{digest}", tag=recipe.tag, python=PYTHON, artifact=artifact, edges=(edge,))


async def _build(
    engine: Engine, recipe: Recipe, environment: Artifact, lock: str, *, settings: Settings, log: Log
) -> None:
    base = await _base(engine, recipe.base, log=log)
    theirs, _ = conda.divided(lock)
    brings_python = conda.brings_python(theirs)
    target = await (_machine if brings_python else _platform)(engine, recipe, base)
    async with workshop(settings.home / "images" / f"{recipe.digest}.tmp") as root:
        asked = _asked(environment)
        order = await staging.stage(
            root, lock, version=recipe.version, asked=asked, target=target, settings=settings, log=log
        )
        extra = await run_sync(authorities, settings) if settings.ca_bundle and recipe.system_packages else None
        names = [layer.name for layer in order]
        text = recipe.dockerfile(base, names, brings_python=brings_python, has_authorities=extra is not None)
        texts = {"Dockerfile": text.encode()} | ({"authorities.pem": extra.read_bytes()} if extra else {})
        await run_sync(context.write, root / "context.tar", order, texts)
        fetching = {"network": settings.build_network or None, "proxy": settings.proxy}
        given = fetching if recipe.system_packages else {}
        await send(engine, root / "context.tar", tag=recipe.tag, log=log, **given)


@asynccontextmanager
async def workshop(root: Path) -> AsyncIterator[Path]:
    """An empty folder for whoever holds the lock on what is built in it; what a killed build has left is removed."""
    await run_sync(_remove, root)
    await anyio.Path(root).mkdir()
    try:
        yield root
    finally:
        with anyio.CancelScope(shield=True):
            await run_sync(_remove, root)


def _remove(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)


def _asked(environment: Artifact) -> list[str]:
    return [re.split(r"[^\w.-]", str(each).strip())[0] for each in environment.body.get("packages") or ()]


async def _base(engine: Engine, reference: str, *, log: Log) -> str:
    """The id of the base image, pulled when it is not on this machine."""
    found = await inspect(engine, reference)
    if found is None:
        await log(f"pulling {reference}\n")
        try:
            async for item in engine.stream(lambda client: client.api.pull(reference, stream=True, decode=True)):
                if "error" in item:
                    raise ExecutionFailed(str(item["error"]), reason="ENVIRONMENT")
        except LineageError as error:
            raise _no_base(reference, error) from error
        found = await inspect(engine, reference)
    if found is None:
        raise _no_base(reference, ExecutionFailed("it was removed at once", reason="UNAVAILABLE"))
    return str(found["Id"])


def _no_base(reference: str, error: LineageError) -> ExecutionFailed:
    unreachable = isinstance(error, ExecutionFailed) and error.reason in {"UNAVAILABLE", "DOCKER"}
    message = (
        f"the base image {reference} is not on this machine and cannot be pulled: {error};"
        " load it (docker pull, docker load), or name another by LINEAGE_BASE_IMAGE"
    )
    return ExecutionFailed(message, reason="UNAVAILABLE" if unreachable else "ENVIRONMENT")


async def _platform(engine: Engine, recipe: Recipe, base: str) -> str:
    """The platform of the base image in uv's words; raise ExecutionFailed where the environment cannot live on it."""
    command = ["python3", "-c", PROBE]
    try:
        text = await engine.ask(
            lambda client: client.containers.run(base, command, entrypoint="", network_mode="none", remove=True)
        )
        seen = json.loads(text)
    except (ValueError, NotFound) as error:
        raise _unfit(recipe, f"its python3 does not say what it is: {error}") from error
    except ExecutionFailed as error:
        raise (
            error if error.reason == "UNAVAILABLE" else _unfit(recipe, f"its python3 does not run: {error}")
        ) from error
    if not f"{seen['version']}.".startswith(f"{recipe.version}."):
        raise _unfit(recipe, f"it has Python {seen['version']}, and the environment is of {recipe.version}")
    if recipe.platform not in (None, seen["platform"]):
        raise _unfit(recipe, f"it is {seen['platform']}, and the environment was locked for {recipe.platform}")
    return wheels(str(seen["platform"]).partition("-")[2], *seen["libc"])


async def _machine(engine: Engine, recipe: Recipe, base: str) -> str:
    """The platform of a base image whose Python nobody needs, in uv's words."""
    found = await inspect(engine, base) or {}
    machine = MACHINES.get(str(found.get("Architecture")), str(found.get("Architecture")))
    if recipe.platform not in (None, f"linux-{machine}"):
        raise _unfit(recipe, f"it is linux-{machine}, and the environment was locked for {recipe.platform}")
    return f"{machine}-manylinux_2_28"


def wheels(machine: str, libc: str, version: str) -> str:
    """The platform of a machine with this C library, in uv's words."""
    if libc != "glibc":
        return f"{machine}-unknown-linux-musl"
    minor = int(version.split(".")[1])
    return f"{machine}-manylinux_2_{max((each for each in GLIBC if each <= minor), default=GLIBC[0])}"


def _unfit(recipe: Recipe, why: str) -> ExecutionFailed:
    return ExecutionFailed(f"the base image {recipe.base} does not fit: {why}", reason="ENVIRONMENT")


async def send(
    engine: Engine, archive: Path, *, tag: str, log: Log, network: str | None = "none", proxy: str | None = None
) -> None:
    """Let the daemon build the context *archive*, and carry over what it says.

    Args:
        proxy: for what the build fetches, "" for the daemon's own; None where it fetches nothing.
    """
    # Docker keeps these two, and only these, out of the image and of its history.
    arguments = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy} if proxy else {}
    said: list[str] = []
    with archive.open("rb") as stream:
        items = engine.stream(
            lambda client: client.api.build(
                fileobj=stream,
                custom_context=True,
                tag=tag,
                buildargs=arguments,
                use_config_proxy=proxy is not None,
                network_mode=network,
                rm=True,
                forcerm=True,
                decode=True,
            )
        )
        async for item in items:
            text = redacted(str(item.get("stream") or ""))
            if text.strip():
                said.append(text)
                await log(text if text.endswith("\n") else f"{text}\n")
            if "error" in item:
                tail = "".join(said[-TAIL_LINES:])
                raise ExecutionFailed(redacted(f"{item['error']}\n{tail}"), reason="ENVIRONMENT", log_tail=tail)
