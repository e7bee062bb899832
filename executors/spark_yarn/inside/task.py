"""One slot in a task of Spark: a workspace of its own under a shepherd; the standard library alone.

`python -m executors.spark_yarn.inside.task WORK SLOT TARGET`: WORK is what YARN has unpacked, TARGET the archive with
log, results and last words that is left there, whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tarfile
from pathlib import Path
from typing import Any

from executors.herding import processes
from executors.shepherd import Shepherd
from executors.spark_yarn.inside.session import APPLICATION

PASSED = ("PATH", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME")
#: Which kernels OpenBLAS takes; they decide the last digits of numbers.
PASSED_PREFIX = "OPENBLAS_"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS", "LOKY_MAX_CPU_COUNT")
FOLDERS = ("slots", "tmp", "home", "out")
#: What goes back to the worker; of the folder `slots` its notes.
RESULTS = ("exit.json", "log", "out", "slots")


def lay_out(work: Path, root: Path, slot: int) -> None:
    """Make the workspace of *slot* in *root*: the code copied, the data as it lies there."""
    for name in FOLDERS:
        (root / name).mkdir(parents=True, mode=0o700)
    if (work / "code").is_dir():
        shutil.copytree(work / "code", root / "code")
    for name in ("data", "model"):
        if (work / name).is_dir():
            (root / name).symlink_to((work / name).resolve(), target_is_directory=True)
    shutil.copyfile(work / "job.json", root / "job.json")
    given: dict[str, Any] = json.loads((work / "launch.json").read_text())
    if given.get("place"):
        (root / APPLICATION).write_text(json.dumps({"place": given["place"]}))
    seed = int(json.loads((root / "job.json").read_text()).get("seed") or 0)
    launch = {
        **given,
        "slots": 1,
        "number": slot,
        "python": sys.executable,
        "trial": str(Path(__file__).resolve().parents[2] / "trial.py"),
        "environ": {
            **environ(root, seed=seed, cores=int(given["cores"])),
            **(of_spark() if given.get("place") else {}),
        },
    }
    (root / "launch.json").write_text(json.dumps(launch))


def environ(root: Path, *, seed: int, cores: int) -> dict[str, str]:
    """The variables that the work sees: a few of the container's, none of YARN's secrets, a home of its own."""
    passed = {name: text for name, text in os.environ.items() if name in PASSED or name.startswith(PASSED_PREFIX)}
    return {
        **passed,
        "LD_LIBRARY_PATH": str(Path(sys.executable).resolve().parents[1] / "lib"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{passed.get('PATH', os.defpath)}",
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "tmp"),
        "PYTHONHASHSEED": str(seed % 2**32),
        "PYTHONNOUSERSITE": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MPLBACKEND": "Agg",
        **dict.fromkeys(THREADS, str(max(cores, 1))),
    }


def of_spark() -> dict[str, str]:
    """What a slot needs to speak to Spark: the driver's gateway, and Spark's own modules."""
    found = {name: text for name, text in os.environ.items() if name.startswith("PYSPARK_")}
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)[1:]  # the first is ours
    return {**found, "PYTHONPATH": os.pathsep.join(os.path.abspath(each) for each in path if each)}


def tend(root: Path) -> None:
    """See the slot to its end; when Spark's process dies, or this one is asked to, all that it started ends at once."""
    processes.become_subreaper()
    shepherd = Shepherd(root)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        for slot in shepherd.slots:
            shepherd.start(slot)
        shepherd.run()
    finally:
        processes.end_all(os.getpid(), shepherd.groups)


def pack(root: Path, target: Path) -> None:
    """Put everything that goes back into one archive."""
    fresh = target.with_name(f"{target.name}.new")
    with tarfile.open(fresh, "w") as archive:
        for name in RESULTS:
            if (root / name).exists():
                archive.add(root / name, name, filter=_plain)
    os.replace(fresh, target)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Files and folders alone: what else the work has left is none of its results."""
    return member if member.isreg() or member.isdir() else None


def main(work: Path, slot: int, target: Path) -> int:
    """Do one slot's work."""
    processes.die_with_parent()
    root = target.parent.resolve() / f"{target.stem}-root"
    lay_out(work.resolve(), root, slot)
    os.chdir(root)
    tend(root)
    pack(root, target)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).absolute()))
