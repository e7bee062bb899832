"""Python environments: packages resolved to a lock with hashes, and virtual environments built from one, by uv."""

import hashlib
import json
import os
import re
import shutil
import sys
import sysconfig
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from executors import conda
from executors.alone import alone
from executors.base import Log
from executors.uv import failure, find_python, run_uv
from lineage.errors import ExecutionFailed, InvalidInput
from lineage.settings import Settings

MARKER = "lineage.json"
#: A name, extras, versions, a marker: no address, no path, no option of the installer.
REQUIREMENT = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w.,\s-]*\])?\s*(\(?[<>=!~][^;@/\\\n]*\)?)?\s*(;[^\n]*)?")
LOCKED = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
#: Versions that pip understands; those of conda may be anything.
PLAIN = re.compile(r"\d+(\.\d+)*")
HEX = re.compile(r"[0-9a-f]{12,64}")


@dataclass(frozen=True, kw_only=True)
class Lock:
    """Packages with exact versions and the hashes of their files; the same for the same input and index."""

    text: str
    #: (name, version), sorted.
    locked: Sequence[tuple[str, str]]
    #: "linux-x86_64"; what it was resolved for.
    platform: str
    #: "3.11"
    version: str
    #: What comes from channels of conda: name, version, build, url and sha256 of each.
    conda: Sequence[Mapping[str, str]] = ()


def platform() -> str:
    """The platform of this machine, as locks name it."""
    return sysconfig.get_platform()


async def resolve(
    packages: Sequence[str],
    *,
    version: str | None,
    settings: Settings,
    log: Log,
    channels: Sequence[str] = (),
    conda_packages: Sequence[str] = (),
) -> Lock:
    """Resolve *packages*, with versions or without, for the Python *version* (this one's by default).

    With *conda_packages*, those of *channels* come first; pip's are then chosen to go with them, and where a Python is
    among them it is the environment's.

    Raises:
        InvalidInput: a package is not written as a name with versions, or there is no such Python here.
        ExecutionFailed: RESOLUTION with the resolver's own words, or UNAVAILABLE when the index does not answer.
    """
    wanted = [_checked(each) for each in packages]
    theirs: Sequence[Mapping[str, str]] = ()
    if conda_packages:
        theirs = await conda.solve(channels, conda_packages, version=version, settings=settings, log=log)
    brought = next((each["version"] for each in theirs if each["name"] == "python"), None)
    python, version = (Path(sys.executable), brought) if brought else await find_python(version, settings)
    given = [(each["name"], each["version"]) for each in theirs]
    held = [each for each in given if PLAIN.fullmatch(each[1])]
    text = await _compile(wanted, given, held, python=python, version=version, settings=settings, log=log)
    locked = sorted((name, found) for name, found in LOCKED.findall(text))
    head = conda.explicit(theirs) if theirs else ""
    return Lock(text=head + text, locked=locked, platform=platform(), version=version, conda=theirs)


async def resolve_beside(
    packages: Sequence[str],
    given: Sequence[tuple[str, str]],
    *,
    version: str,
    settings: Settings,
    log: Log,
    target: str | None = None,
) -> str:
    """The lock of what is missing of *packages* where the packages *given*, (name, version), are there and stay.

    Raises:
        ExecutionFailed: RESOLUTION with the resolver's own words, or UNAVAILABLE when the index does not answer.
    """
    python = Path(sys.executable)
    return await _compile(
        packages, given, given, python=python, version=version, settings=settings, log=log, target=target
    )


async def _compile(
    wanted: Sequence[str],
    given: Sequence[tuple[str, str]],
    held: Sequence[tuple[str, str]],
    *,
    python: Path,
    version: str,
    settings: Settings,
    log: Log,
    target: str | None = None,
) -> str:
    """The requirements of pip with their hashes, without what is *given*, and such that they go with what is *held*."""
    arguments = ["pip", "compile", "-", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    arguments += ["--no-emit-index-url", "--no-emit-find-links", "--python", str(python), "--python-version", version]
    arguments += ["--python-platform", target] if target else []
    async with _scratch(settings) as folder:
        if given:
            (folder / "constraints.txt").write_text("".join(f"{name}=={version}\n" for name, version in held))
            arguments += ["--constraint", "constraints.txt"]
            arguments += [word for name, _ in given for word in ("--no-emit-package", name)]
        lines = "".join(f"{each}\n" for each in sorted(wanted)).encode()
        code, text, said = await run_uv(arguments, settings=settings, cwd=folder, given=lines, log=log)
    if code:
        raise failure(said, reason="RESOLUTION")
    return "".join(f"{line}\n" for line in text.splitlines() if line.strip() and not line.startswith(("#", "--")))


def _checked(package: str) -> str:
    text = package.strip()
    if not REQUIREMENT.fullmatch(text):
        message = f"{package!r} is no package: write a name with versions, as in 'scikit-learn>=1.5'"
        raise InvalidInput(message, field="packages")
    return text


async def build(
    digest: str,
    lock: str,
    *,
    settings: Settings,
    log: Log,
    version: str | None = None,
    platform: str | None = None,
) -> Path:
    """Build the virtual environment of a *lock* once for its *digest*, however many ask, and return its interpreter.

    Raises:
        ExecutionFailed: ENVIRONMENT when it cannot be built here, UNAVAILABLE when the index does not answer.
    """
    if not HEX.fullmatch(digest):
        raise InvalidInput(f"{digest!r} is not the digest of an environment", field="digest")
    here = sysconfig.get_platform()
    if platform not in (None, here):
        raise ExecutionFailed(f"it was locked for {platform}, and this machine is {here}", reason="ENVIRONMENT")
    home = settings.home / "environments"
    home.mkdir(parents=True, exist_ok=True)
    target = home / digest
    if await run_sync(_is_whole, target, lock):
        return _interpreter(target)
    async with alone(home / f"{digest}.lock"):
        if not await run_sync(_is_whole, target, lock):
            await _build(target, lock, version=version, settings=settings, log=log)
    return _interpreter(target)


async def _build(target: Path, lock: str, *, version: str | None, settings: Settings, log: Log) -> None:
    await run_sync(_clear, target)
    is_bound = bool(conda.divided(lock)[0])  # files of conda's packages hold the place where they lie
    fresh = target if is_bound else target.with_name(f"{target.name}.tmp-{os.urandom(4).hex()}")
    try:
        await install(fresh, lock, version=version, settings=settings, log=log)
        await run_sync(_seal, fresh, lock)
        if not is_bound:
            os.rename(fresh, target)
    finally:
        with anyio.CancelScope(shield=True):
            if not (fresh / MARKER).exists():
                await run_sync(_remove, fresh)


async def install(
    root: Path,
    lock: str,
    *,
    version: str | None,
    settings: Settings,
    log: Log,
    target: str | None = None,
    python: Path | None = None,
) -> None:
    """Make a virtual environment with the packages of *lock* in the folder *root*; without conda's it can be moved.

    Args:
        target: a platform in uv's words; packages are chosen for that one, not for this machine.
        python: the interpreter to make it of, instead of one that is found for *version*.
    """
    theirs, requirements = conda.divided(lock)
    if theirs:
        await conda.install(theirs, root, settings=settings, log=log)
    commands = []
    if not conda.brings_python(theirs):
        python = python or (await find_python(version, settings))[0]
        merge = ["--allow-existing"] if theirs else []
        commands.append(["venv", "--relocatable", "--no-project", *merge, "--python", str(python), str(root)])
    async with _scratch(settings) as folder:
        listing = folder / "requirements.txt"
        listing.write_text(requirements)
        choice = ["--python-platform", target] if target else []
        given = ["--require-hashes", "--no-deps", *choice, "--python", str(_interpreter(root)), "-r", str(listing)]
        if requirements.strip():
            commands.append(["pip", "install", *given])
        for arguments in commands:
            code, _, said = await run_uv(arguments, settings=settings, cwd=folder, log=log)
            if code:
                raise failure(said, reason="ENVIRONMENT")


def _interpreter(root: Path) -> Path:
    return root / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _clear(target: Path) -> None:
    """Remove what a killed build has left, and an environment that is damaged."""
    for old in target.parent.glob(f"{target.name}.tmp-*"):
        _remove(old)
    if target.exists():
        damaged = target.with_name(f"{target.name}.tmp-{os.urandom(4).hex()}")
        os.rename(target, damaged)
        _remove(damaged)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _seal(root: Path, lock: str) -> None:
    marker = {"lock": _digest(lock), "installed": _installed(root)}
    (root / MARKER).write_text(json.dumps(marker, indent=1, sort_keys=True))


def _is_whole(root: Path, lock: str) -> bool:
    """Whether it was built to the end from this very lock, and still has its interpreter and its packages."""
    try:
        marker = json.loads((root / MARKER).read_text())
        return bool(
            marker["lock"] == _digest(lock)
            and os.access(_interpreter(root), os.X_OK)
            and marker["installed"] == _installed(root)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _installed(root: Path) -> list[str]:
    """The packages with a record of their files, and how many of these top-level folders there are."""
    folders = sorted(root.glob("lib/python*/site-packages/*.dist-info/RECORD"))
    return [f"{folder.parent.name} {_present(folder)}" for folder in folders]


def _present(record: Path) -> int:
    """How many of a package's top-level names exist."""
    site = record.parent.parent
    names = {line.partition(",")[0].partition("/")[0].strip('"') for line in record.read_text().splitlines()}
    return sum((site / name).exists() for name in names if name not in ("..", "", "__pycache__"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@asynccontextmanager
async def _scratch(settings: Settings) -> AsyncIterator[Path]:
    """An empty folder, so that no project's configuration that lies about has a say."""
    base = settings.home / "environments"
    base.mkdir(parents=True, exist_ok=True)
    async with anyio.TemporaryDirectory(prefix=".scratch-", dir=str(base)) as folder:
        yield Path(folder)
