"""An Environment as one archive that runs wherever it is unpacked: its interpreter, its libraries, its packages.

The packages are those of the very virtual environment that the executor `process` uses. What the interpreter needs is
copied beside them, so that no file of it leans on the machine it was made on; a copy in another place proves it.
"""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from executors import conda, environments, folder
from executors.alone import alone
from executors.base import Log
from lineage.artifacts import Artifact
from lineage.errors import DigestMismatch, ExecutionFailed, NotFound
from lineage.files import Files
from lineage.settings import Settings

#: Parts of the standard library that no work needs, and what packages of the machine's own lie among.
LEFT_OUT = {"test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "dist-packages"}
LEFT_OUT |= {"__pycache__", "EXTERNALLY-MANAGED", "sitecustomize.py"}
#: Libraries that belong to the kernel of a machine and to nobody else: those of glibc.
OF_THE_SYSTEM = ("ld-linux", "libc.", "libm.", "libdl.", "libpthread.", "librt.", "libutil.", "libresolv.", "libnss_")
LEVEL = 1  # of gzip: the bytes go to a node once, and are written and read far more slowly above it
WRAPPER = """#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd -P)
LD_LIBRARY_PATH="$here/../lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
exec "$here/%s" "$@"
"""
SITE = """import os, site, sys
site.addsitedir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "site-packages"))
"""
ASKED = """import json, sys, sysconfig
paths = sysconfig.get_paths()
name = "python%d.%d" % sys.version_info[:2]
found = {"python": getattr(sys, "_base_executable", sys.executable), "name": name, "packages": paths["purelib"]}
print(json.dumps({**found, "stdlib": paths["stdlib"]}))
"""
PROOF = """import bz2, ctypes, hashlib, importlib, json, lzma, sqlite3, ssl, sys, zlib
for name in sys.argv[1:]:
    importlib.import_module(name)
with open("/proc/self/maps") as maps:
    mapped = sorted({line.split(None, 5)[5].strip() for line in maps if line.count("/")})
print(json.dumps({"path": sys.path, "prefix": sys.prefix, "mapped": mapped}))
"""
#: Packages that are imported for the proof where the environment has them, by their import names.
PROVEN = ("numpy", "pandas", "pyarrow", "sklearn", "skops")


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An environment's archive on this machine, as the artifact store has it too."""

    path: Path
    sha256: str
    #: "python3.11"
    name: str


async def build(environment: Artifact, lock: str, *, settings: Settings, log: Log) -> Archive:
    """The archive of an environment, built once for its digest and kept in the artifact store.

    Raises:
        ExecutionFailed: ENVIRONMENT when it cannot be packed, or does not run from another place.
    """
    if environment.body.get("language", "python") != "python":
        raise ExecutionFailed("an environment of another language cannot go to YARN", reason="ENVIRONMENT")
    if conda.divided(lock)[0]:
        message = "an environment with packages of conda is bound to its place and cannot be packed for YARN"
        raise ExecutionFailed(message, reason="ENVIRONMENT")
    home = settings.cache / "archives"
    home.mkdir(parents=True, exist_ok=True)
    digest, files = environment.digest or "", Files(settings.artifacts_url)
    async with alone(home / f"{digest}.lock"):
        found = await _kept(home, digest, files)
        if found is None:
            python = await environments.build(
                digest,
                lock,
                version=environment.body.get("version"),
                platform=environment.body.get("platform"),
                settings=settings,
                log=log,
            )
            found = await _pack(home, digest, python, log)
        if not await files.exists(found.sha256):
            await files.put(found.path)
    return found


async def _kept(home: Path, digest: str, files: Files) -> Archive | None:
    """What an earlier build has left; bytes that were changed since are fetched anew, and else given up."""
    note, path = folder.read(home / f"{digest}.json"), home / f"{digest}.tar.gz"
    if note is None:
        return None
    found = Archive(path=path, sha256=note["sha256"], name=note["name"])
    if path.exists() and await run_sync(sha256_of, path) == found.sha256:
        return found
    try:
        await files.fetch(found.sha256, path)
    except (NotFound, DigestMismatch):
        return None
    return found


async def _pack(home: Path, digest: str, python: Path, log: Log) -> Archive:
    await log("packing the environment for the cluster\n")
    path = home / f"{digest}.tar.gz"
    with tempfile.TemporaryDirectory(dir=home, prefix=".packing-") as place:
        name = await run_sync(_gather, python, Path(place) / "tree")
        await run_sync(_write, Path(place) / "tree", Path(place) / "archive")
        await run_sync(os.replace, Path(place) / "archive", path)
    await run_sync(prove, path)
    sha256, size = await run_sync(sha256_of, path), path.stat().st_size
    await log(f"packed: {size // 2**20} MiB, and it runs from another place\n")
    folder.write(home / f"{digest}.json", {"sha256": sha256, "bytes": size, "name": name})
    return Archive(path=path, sha256=sha256, name=name)


def _gather(python: Path, tree: Path) -> str:
    """Lay out the environment in *tree*, and return the name of its interpreter."""
    said: dict[str, str] = json.loads(_run([str(python), "-I", "-c", ASKED]))
    name, library = said["name"], tree / "lib" / said["name"]
    (tree / "bin").mkdir(parents=True)
    shutil.copy(Path(said["python"]).resolve(), tree / "bin" / name)
    shutil.copytree(said["stdlib"], library, ignore=_left_out, ignore_dangling_symlinks=True)
    shutil.copytree(said["packages"], library / "site-packages", ignore=shutil.ignore_patterns("__pycache__"))
    (library / "sitecustomize.py").write_text(SITE)
    for each in ("python", "python3"):
        (tree / "bin" / each).write_text(WRAPPER % name)
        (tree / "bin" / each).chmod(0o755)
    for library_path in _libraries(tree):
        shutil.copy(library_path.resolve(), tree / "lib" / library_path.name)
    _run(
        [
            str(tree / "bin" / "python"),
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode",
            "unchecked-hash",
            *_sources(tree, name),
        ]
    )
    return name


def _sources(tree: Path, name: str) -> list[str]:
    return ["-s", str(tree), str(tree / "lib" / name), "-j", "0"]


def _left_out(path: str, names: list[str]) -> set[str]:
    return {name for name in names if name in LEFT_OUT or name.startswith("config-")}


def _libraries(tree: Path) -> list[Path]:
    """The shared libraries of this machine that files in *tree* need, but for those of glibc."""
    wanted = [tree / "bin" / name for name in os.listdir(tree / "bin") if name not in ("python", "python3")]
    wanted += [path for path in tree.rglob("*.so*") if path.is_file()]
    said = subprocess.run(["ldd", *map(str, wanted)], capture_output=True, text=True, check=False).stdout
    found = {Path(line.split("=> ")[1].split(" (")[0]) for line in said.splitlines() if "=> /" in line}
    outside = [path for path in found if not path.is_relative_to(tree)]
    return sorted(path for path in outside if not path.name.startswith(OF_THE_SYSTEM))


def _write(tree: Path, target: Path) -> None:
    """Pack *tree*; the same tree gives the same bytes."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = 0
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    with (
        target.open("wb") as stream,
        gzip.GzipFile("", "wb", compresslevel=LEVEL, fileobj=stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT, dereference=True) as archive,
    ):
        for path in sorted(tree.rglob("*")):
            archive.add(path, path.relative_to(tree).as_posix(), recursive=False, filter=plain)


def prove(path: Path) -> None:
    """Unpack an archive elsewhere and run its interpreter; raise ExecutionFailed when it leans on anything outside."""
    with tempfile.TemporaryDirectory(prefix="elsewhere-") as place:
        root = Path(place).resolve()
        try:
            _run(["tar", "-xzf", str(path), "-C", str(root)])
            links = [each for each in root.rglob("*") if each.is_symlink()]
            seen: dict[str, Any] = json.loads(_run([str(root / "bin" / "python"), "-c", PROOF, *_importable(root)]))
        except ValueError as error:
            raise ExecutionFailed(f"the packed environment says nothing: {error}", reason="ENVIRONMENT") from error
        strangers = [each for each in seen["mapped"] if not each.startswith(str(root)) and _matters(each)]
        strangers += [each for each in seen["path"] if each and not each.startswith(str(root))]
    if strangers or links or seen["prefix"] != str(root):
        found = ", ".join(map(str, [*strangers, *links])) or seen["prefix"]
        message = f"the packed environment would not run on another machine: it leans on {found}"
        raise ExecutionFailed(message, reason="ENVIRONMENT")


def _importable(root: Path) -> list[str]:
    return [name for name in PROVEN if next(root.glob(f"lib/*/site-packages/{name}/__init__.py"), None)]


def _matters(path: str) -> bool:
    name = Path(path).name
    return ".so" in name and not name.startswith(OF_THE_SYSTEM)


def _run(command: list[str]) -> str:
    kept = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, env=kept, cwd="/", check=False)
    if done.returncode:
        words = (done.stderr or done.stdout)[-2000:]
        raise ExecutionFailed(f"the environment cannot be packed: {words}", reason="ENVIRONMENT", log_tail=words)
    return done.stdout


def sha256_of(path: Path) -> str:
    """The digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
