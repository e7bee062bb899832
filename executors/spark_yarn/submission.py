"""What is handed to spark-submit: the workspace as one archive, and the application's shape."""

import hashlib
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from executors import folder
from executors.base import MEBIBYTE, Workspace
from executors.spark_yarn.hadoop import Hadoop
from lineage.errors import ExecutionFailed
from lineage.settings import Settings

PACKAGE = Path(__file__).resolve().parents[1]
DRIVER = Path(__file__).with_name("inside") / "driver.py"
#: What of this package the cluster needs, the standard library alone.
PLATFORM = ("__init__.py", "folder.py", "trial.py", "shepherd.py", "herding", "inside", "spark_yarn/inside")
#: Rows of a batch, as the job of scoring lays them down.
ROWS = "data/rows.parquet"
#: What models of Spark ML are called where jobs speak of them.
SPARK = "spark"
GIVEN = ("code", "data", "model")
#: Room of a container beside Spark's own heap and the work: the interpreters of Spark, buffers.
SPARE = 384 * MEBIBYTE
TASK_FAILURES = 4  # how often Spark gives a slot to another executor when one is lost


def workspace_id(workspace: Workspace) -> str:
    """The name of a workspace on the cluster: the folder is what it stands for."""
    return hashlib.sha256(str(workspace.root.resolve()).encode()).hexdigest()[:16]


def tag(workspace: Workspace) -> str:
    """The tag by which whatever was started in a workspace is found again; in lower case, as YARN wants it."""
    return f"lineage-work-{workspace_id(workspace)}"


def tags(workspace: Workspace, home: str) -> list[str]:
    """What the application says of itself."""
    run = workspace.run_id.lower()
    return [
        tag(workspace),
        f"lineage-home-{home}",
        f"lineage-run-{run}",
        f"lineage-attempt-{workspace.attempt}",
        f"lineage-generation-{workspace.generation}",
    ]


def results(workspace: Workspace) -> str:
    """Where the application leaves its results, below the staging folder."""
    return f"work/{workspace_id(workspace)}"


def is_spread(workspace: Workspace) -> bool:
    """Whether the rows of a prediction are spread over the cluster, instead of being the work of one slot."""
    job = folder.read(workspace.root / "job.json") or {}
    wanted = (job.get("predict") or {}).get("data") == {"rows": ROWS}
    return job.get("mode") == "predict" and wanted and not is_native(workspace)


def is_computed(root: Path) -> bool:
    """Whether the cluster computes the features of the rows itself, of datasets that it reaches."""
    return bool((folder.read(root / "job.json") or {}).get("rows"))


def is_frame(workspace: Workspace) -> bool:
    """Whether the work is a training set, which Spark makes by SQL."""
    return (folder.read(workspace.root / "job.json") or {}).get("mode") == "materialise"


def is_native(workspace: Workspace) -> bool:
    """Whether Spark itself learns, or asks a model of its own; the rows lie on the cluster then, in the folder data."""
    job = folder.read(workspace.root / "job.json") or {}
    return SPARK in ((job.get("code") or {}).get("contract"), (job.get("model") or {}).get("format"))


def pack(
    workspace: Workspace, grace: float, *, batch: Mapping[str, Any] | None = None, place: str | None = None
) -> Path:
    """The workspace and the platform's own part as an archive beside it, readable by this user alone.

    Args:
        batch: what is known of rows that lie on the cluster already; see executors/spark_yarn/inside/score.py.
        place: where the application's own files lie on the cluster, the folder data among them.
    """
    root = workspace.root
    limits = workspace.limits
    launch = {
        "slots": workspace.slots,
        "cores": _cores(workspace),
        "grace": grace,
        "batch": batch,
        "frame": is_frame(workspace),
        "place": place,
        "limits": {**vars(limits), "log_bytes": limits.log_bytes // workspace.slots},
    }
    if not (root / "job.json").is_file():
        raise ExecutionFailed("the workspace has no job.json", reason="INVALID_INPUT")
    folder.write(root / "launch.json", launch)
    target = root / "work.tar.gz"
    with (
        open(target, "wb", opener=_private) as stream,
        tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar,
    ):
        for name in ("job.json", "launch.json", *GIVEN):
            if (root / name).exists() and not (place and name == "data"):
                tar.add(root / name, name, filter=lambda each: None if batch and each.name == ROWS else each)
        for name in PLATFORM:
            tar.add(PACKAGE / name, f"platform/executors/{name}", filter=_source)
        marker = tarfile.TarInfo("platform/executors/spark_yarn/__init__.py")
        tar.addfile(marker)
    return target


def _private(path: str, flags: int) -> int:
    import os

    return os.open(path, flags, 0o600)


def _source(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in member.name else member


def _cores(workspace: Workspace) -> int:
    return max(int(workspace.limits.cpus or 1), 1)


def command(
    workspace: Workspace,
    settings: Settings,
    hadoop: Hadoop,
    *,
    home: str,
    work: Path,
    address: str,
    spark: str | None = None,
) -> list[str]:
    """What submits the application and returns when the ResourceManager has it.

    Args:
        work: the archive of `pack`.
        address: where the results go.
        spark: where Spark's jars lie on the cluster, unless a file of properties says so.
    """
    archives = f"{work.as_uri()}#work,{workspace.prepared.image}#environment"
    found = [str(hadoop.spark_home / "bin" / "spark-submit"), "--master", "yarn", "--deploy-mode", "cluster"]
    found += ["--name", f"lineage {workspace.run_id} {workspace.root.name}", "--archives", archives]
    if settings.yarn_queue:
        found += ["--queue", settings.yarn_queue]
    if settings.spark_proxy_user:
        found += ["--proxy-user", settings.spark_proxy_user]
    if settings.spark_properties:
        found += ["--properties-file", settings.spark_properties]
    if spark:
        found += ["--conf", f"spark.yarn.archive={spark}"]
    for name, value in properties(workspace, settings, home=home).items():
        found += ["--conf", f"{name}={value}"]
    return [*found, str(DRIVER), address]


def properties(workspace: Workspace, settings: Settings, *, home: str) -> Mapping[str, Any]:
    """Spark's properties that follow from the run; they come before those of a file."""
    python = "./environment/bin/python"
    return {
        "spark.submit.deployMode": "cluster",
        "spark.yarn.submit.waitAppCompletion": "false",
        "spark.yarn.maxAppAttempts": 1,
        "spark.yarn.tags": ",".join(tags(workspace, home)),
        "spark.yarn.appMasterEnv.PYSPARK_PYTHON": python,
        "spark.executorEnv.PYSPARK_PYTHON": python,
        "spark.dynamicAllocation.enabled": "false",
        "spark.executor.cores": _cores(workspace),
        "spark.driver.memory": settings.spark_driver_memory,
        **(_native if is_native(workspace) else _python)(workspace, settings),
        "spark.task.maxFailures": TASK_FAILURES,
        "spark.speculation": "false",
        "spark.locality.wait": "0",
        "spark.driver.maxResultSize": "2g",
        "spark.scheduler.minRegisteredResourcesRatio": "0",
    }


def _python(workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Properties of work that is done in the tasks, beside Spark; a training set is Spark's own, in its heap."""
    spreads = is_spread(workspace) or is_frame(workspace)
    heap, room = _bytes(settings.spark_executor_memory), _room(workspace, settings)
    if is_frame(workspace):
        heap, room = heap + room - SPARE, SPARE
    return {
        "spark.executor.instances": settings.spark_executors if spreads else workspace.slots,
        "spark.task.cpus": _cores(workspace),
        "spark.executor.memory": f"{heap // MEBIBYTE}m",
        "spark.executor.memoryOverhead": f"{room // MEBIBYTE}m",
    }


def _native(workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Properties of work that Spark does itself: slots stand beside the driver, memory is the executors' heap."""
    memory = workspace.limits.memory_bytes
    slots = workspace.slots * (_room(workspace, settings) - SPARE) + SPARE
    return {
        "spark.executor.instances": settings.spark_executors,
        "spark.executor.memoryOverhead": f"{SPARE // MEBIBYTE}m",
        "spark.driver.memoryOverhead": f"{slots // MEBIBYTE}m",
        "spark.scheduler.mode": "FAIR",
        "spark.executor.memory": f"{memory // MEBIBYTE}m" if memory else settings.spark_executor_memory,
    }


def _room(workspace: Workspace, settings: Settings) -> int:
    return (workspace.limits.memory_bytes or _bytes(settings.spark_work_memory)) + SPARE


def _bytes(text: str) -> int:
    return int(text[:-1]) * {"k": 1024, "m": MEBIBYTE, "g": 1024 * MEBIBYTE}[text[-1].lower()]
