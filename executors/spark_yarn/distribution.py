"""Spark's own jars, put onto the cluster once for each version, so that no submission carries them."""

import hashlib
import re
import tempfile
import zipfile
from pathlib import Path

from anyio.to_thread import run_sync

from executors.alone import alone
from executors.spark_yarn.hadoop import Hadoop
from executors.spark_yarn.staging import Staging
from lineage.settings import Settings

#: Properties by which a site says where Spark's jars are.
KNOWN = re.compile(r"^\s*spark\.yarn\.(archive|jars)[\s=:]", re.MULTILINE)


async def published(settings: Settings, hadoop: Hadoop, staging: Staging) -> str | None:
    """The address of an archive of Spark's jars in the staging folder; None where a file of properties names one."""
    if await run_sync(_is_known, settings, hadoop):
        return None
    jars = sorted((hadoop.spark_home / "jars").glob("*.jar"))
    name = f"spark/{_version(jars)}.zip"
    if not await run_sync(staging.has, name):
        settings.cache.mkdir(parents=True, exist_ok=True)
        async with alone(settings.cache / "spark.lock"):
            await run_sync(_publish, jars, staging, name, settings.cache)
    return staging.address(name)


def _is_known(settings: Settings, hadoop: Hadoop) -> bool:
    """Whether the properties that spark-submit will read say where the jars are."""
    folder = hadoop.environ.get("SPARK_CONF_DIR") or hadoop.spark_home / "conf"
    path = Path(settings.spark_properties or Path(folder) / "spark-defaults.conf")
    return path.is_file() and KNOWN.search(path.read_text(errors="replace")) is not None


def _version(jars: list[Path]) -> str:
    """A name for these very jars: the version of Spark's core, and a digest of what lies beside it."""
    core = next((path.stem.rpartition("-")[2] for path in jars if path.name.startswith("spark-core_")), "unknown")
    listing = "\n".join(f"{path.name} {path.stat().st_size}" for path in jars)
    return f"{core}-{hashlib.sha256(listing.encode()).hexdigest()[:12]}"


def _publish(jars: list[Path], staging: Staging, name: str, scratch: Path) -> None:
    if staging.has(name):  # another worker was first
        return
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".spark-") as folder:
        target = Path(folder) / "spark.zip"
        with zipfile.ZipFile(target, "w") as archive:  # stored: jars are compressed already
            for path in jars:
                archive.write(path, path.name)
        staging.put(target, name)
