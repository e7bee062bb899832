"""The layer of a notebook: JupyterLab, its kernel and the client, over an image of an environment that stays as it is.

JupyterLab has a virtual environment of its own. The kernel and the client lie in a folder of theirs, which the
environment's interpreter searches after its own packages: what is missing there is chosen to go with what is locked,
and nothing that is locked is replaced.
"""

import hashlib
import json
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

import executors
import lineage
from executors import environments
from executors.alone import alone
from executors.base import Log
from executors.containers import context, images, staging
from executors.containers.engine import Engine
from executors.containers.layers import normal
from executors.containers.recipe import LABEL_RECIPE, PYTHON, USER
from lineage.artifacts import digest_of
from lineage.errors import ExecutionFailed
from lineage.settings import Settings

VERSION = 2  # of the layer; a change of it builds every one anew
LAB, KERNEL = "/opt/notebook", "/opt/kernel"
LAB_PYTHON = f"{LAB}/bin/python"
SERVER = ("jupyterlab>=4.6",)
OF_KERNEL = "ipykernel>=7.1"
#: What the client imports; the versions that it wants stand in the distribution.
OF_CLIENT = ("httpx", "orjson", "packaging", "platformdirs", "psutil", "rich", "websockets")
PROOF = "import ipykernel.kernelapp, lineage.client, lineage.client.sockets, lineage.client.waiting, rich.progress"
#: What JupyterLab is set to: no questions about news, and files that are saved soon, since what is saved is recorded.
OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"},
    "@jupyterlab/docmanager-extension:plugin": {"autosaveInterval": 10},
}
PROBE = """
import json, platform, sysconfig
from importlib.metadata import distributions
packages = sorted({(each.metadata["Name"], each.version) for each in distributions()})
seen = {"version": platform.python_version(), "platform": sysconfig.get_platform(), "libc": platform.libc_ver()}
print(json.dumps({**seen, "packages": packages}))
"""


@dataclass(frozen=True, kw_only=True)
class Interior:
    """What an image of an environment says of itself."""

    version: str
    #: The platform in uv's words.
    target: str
    #: (name, version) of all that is installed.
    packages: Sequence[tuple[str, str]]

    @property
    def minor(self) -> str:
        """The version of Python as folders have it: "3.11"."""
        return ".".join(self.version.split(".")[:2])

    @property
    def site(self) -> str:
        """Where packages lie below a prefix."""
        return f"lib/python{self.minor}/site-packages"


async def build(image: str, *, settings: Settings, log: Log, engine: Engine) -> str:
    """The id of the image of a notebook over *image*, built unless it is there, once however many ask.

    Raises:
        ExecutionFailed: RESOLUTION where the environment's packages leave no room for the client's, ENVIRONMENT where
            the build fails, UNAVAILABLE where the daemon or the package index does not answer.
    """
    sources = await run_sync(_sources)
    recipe = digest_of([VERSION, image, SERVER, OF_KERNEL, _client(()), _digest(sources)])
    home = settings.home / "images"
    home.mkdir(parents=True, exist_ok=True)
    async with alone(home / f"{recipe}.lock"):
        found = await images.find_by(engine, {LABEL_RECIPE: recipe})
        if found is None:
            tag = f"lineage-notebook:{image.removeprefix('sha256:')[:12]}-{recipe[:8]}"
            await _build(engine, image, recipe, tag, sources, settings=settings, log=log)
            found = await images.find_by(engine, {LABEL_RECIPE: recipe})
    if found is None:
        raise ExecutionFailed("the image of the notebook was removed while it was built", reason="UNAVAILABLE")
    return str(found["Id"])


async def _build(
    engine: Engine, image: str, recipe: str, tag: str, sources: Mapping[str, bytes], *, settings: Settings, log: Log
) -> None:
    inside = await _probe(engine, image)
    await log(f"adding JupyterLab and the client to {image[:19]} (Python {inside.version})\n")
    lab, kernel = await _locks(inside, settings=settings, log=log)
    async with images.workshop(settings.home / "images" / f"{recipe}.tmp") as folder:
        order = []
        for name, lock in (("lab", lab), ("kernel", kernel)):
            root = folder / name
            root.mkdir()
            found = await staging.stage(
                root, lock, version=inside.minor, asked=(), target=inside.target, settings=settings, log=log
            )
            order += [replace(each, name=f"{name}-{each.name}") for each in found]
        texts = {f"own/{path}": data for path, data in _own(inside, sources).items()}
        text = dockerfile(image, [layer.name for layer in order], recipe)
        archive = folder / "context.tar"
        await run_sync(context.write, archive, order, {**texts, "Dockerfile": text.encode()})
        await images.send(engine, archive, tag=tag, log=log)


async def _probe(engine: Engine, image: str) -> Interior:
    command = [PYTHON, "-c", PROBE]
    text = await engine.ask(
        lambda client: client.containers.run(image, command, entrypoint="", network_mode="none", remove=True)
    )
    seen: dict[str, Any] = json.loads(text)
    machine = str(seen["platform"]).partition("-")[2]
    packages = [(normal(name), version) for name, version in seen["packages"]]
    return Interior(version=seen["version"], target=images.wheels(machine, *seen["libc"]), packages=packages)


async def _locks(inside: Interior, *, settings: Settings, log: Log) -> tuple[str, str]:
    """The lock of JupyterLab, and that of what the kernel and the client need beside the environment's packages."""
    choose = partial(
        environments.resolve_beside, version=inside.version, target=inside.target, settings=settings, log=log
    )
    there = {name for name, _ in inside.packages}
    wanted = ["ipykernel" if "ipykernel" in there else OF_KERNEL, *_client(there)]
    try:
        return await choose(SERVER, ()), await choose(wanted, inside.packages)
    except ExecutionFailed as error:
        if error.reason != "RESOLUTION":
            raise
        what = "ipykernel and the client do not go with the environment's locked packages, none of which is replaced"
        raise ExecutionFailed(f"{what}: {error}", reason="RESOLUTION") from error


def _client(there: Container[str]) -> list[str]:
    """What the client needs, in the versions that it was tested with unless the environment has one: that is taken."""
    asked = {re.split(r"[^\w.-]", each)[0]: each for each in metadata.requires("lineage-graph") or ()}
    return [name if name in there else asked[name] for name in OF_CLIENT]


def _sources() -> dict[str, bytes]:
    """Our own files as they run here: the package of the client, and what starts a notebook."""
    found = {}
    for package, patterns in ((lineage, ("**/*",)), (executors, ("__init__.py", "inside/*.py"))):
        root = Path(str(package.__file__)).parent
        for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
            if path.is_file() and path.suffix != ".pyc":
                found[f"{root.name}/{path.relative_to(root).as_posix()}"] = path.read_bytes()
    return found


def _digest(files: Mapping[str, bytes]) -> str:
    return digest_of({path: hashlib.sha256(data).hexdigest() for path, data in files.items()})


def _own(inside: Interior, sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files of ours by their paths in the image, without the first slash."""
    kernel = {
        "argv": [PYTHON, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": f"Python {inside.minor} of the environment",
        "language": "python",
        "metadata": {"debugger": True},
    }
    homes = {"lineage": KERNEL, "executors": LAB}
    placed = {
        f"{homes[path.partition('/')[0]]}/{inside.site}/{path}".lstrip("/"): data for path, data in sources.items()
    }
    return {
        **placed,
        f"opt/environment/{inside.site}/lineage-notebook.pth": f"{KERNEL}/{inside.site}\n".encode(),
        f"{LAB}/share/jupyter/kernels/python3/kernel.json".lstrip("/"): json.dumps(kernel, indent=1).encode(),
        f"{LAB}/share/jupyter/lab/settings/overrides.json".lstrip("/"): json.dumps(OVERRIDES, indent=1).encode(),
    }


def dockerfile(image: str, layers: Sequence[str], recipe: str) -> str:
    """The Dockerfile over *image*, with packages in these folders of the context and our own files in "own"."""
    lines = [f"FROM {image}", "USER 0:0", f"RUN {PYTHON} -m venv --without-pip {LAB} && mkdir {KERNEL}"]
    lines += [f"COPY {layer}/ {LAB if layer.startswith('lab-') else KERNEL}/" for layer in layers]
    lines += [
        "COPY own/ /",
        f"RUN {PYTHON} -m compileall -qq -j 0 {LAB}/lib {KERNEL}/lib || true",
        f'RUN {PYTHON} -c "{PROOF}" && {LAB_PYTHON} -c "import jupyterlab, executors.inside.notebook"',
        f"USER {USER}",
        f'LABEL {LABEL_RECIPE}="{recipe}"',
    ]
    return "".join(f"{line}\n" for line in lines)
