"""Where a Hadoop cluster is: the site files of HADOOP_CONF_DIR, a JDK, Spark, and files on any of Hadoop's systems."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lineage.errors import ExecutionFailed, InvalidInput
from lineage.settings import Settings
from lineage.sites import Site

#: What passes to Hadoop's and Spark's own programs, and nothing else that this process knows.
PASSED = re.compile(r"PATH|HOME|LANG|USER|TMPDIR|TZ|HADOOP_\w+|YARN_\w+|SPARK_\w+|KRB5\w+|JAVA_TOOL_OPTIONS")
MODULE = "jdk.incubator.vector"
#: Flags of a Java that runs for seconds.
BRIEF = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
ADVICE = "install a JDK of 17 or newer (Debian's openjdk-17-jdk-headless) and set JAVA_HOME"


@dataclass(frozen=True, kw_only=True)
class Hadoop:
    """A cluster as this machine's configuration describes it."""

    configuration: Path
    spark_home: Path
    java_home: Path
    site: Site

    @classmethod
    def of(cls, settings: Settings) -> "Hadoop":
        """Find it, or raise ExecutionFailed that says what is missing."""
        try:
            configuration, spark_home = _folder(settings.hadoop_conf_dir, "HADOOP_CONF_DIR"), spark(settings)
            site = Site.read(configuration)
            return cls(configuration=configuration, spark_home=spark_home, java_home=jdk(), site=site)
        except InvalidInput as error:
            raise ExecutionFailed(str(error), reason="ENVIRONMENT") from error

    @property
    def managers(self) -> list[str]:
        """The addresses of the ResourceManager's web services; several where there is a standby."""
        secure = self.site.get("yarn.http.policy") == "HTTPS_ONLY"
        key, port = (
            ("yarn.resourcemanager.webapp.https.address", 8090)
            if secure
            else (
                "yarn.resourcemanager.webapp.address",
                8088,
            )
        )
        ids = self.site.names("yarn.resourcemanager.ha.rm-ids")
        found = []
        for suffix in [f".{each}" for each in ids] or [""]:
            host = self.site.get(f"yarn.resourcemanager.hostname{suffix}") or "127.0.0.1"
            found.append(f"{'https' if secure else 'http'}://{self.site.get(key + suffix) or f'{host}:{port}'}")
        return found

    @property
    def file_system(self) -> str:
        """The address of the default file system."""
        return self.site.get("fs.defaultFS", "file:///").rstrip("/")

    @property
    def environ(self) -> dict[str, str]:
        """The variables for its programs: nothing of ours."""
        kept = {name: text for name, text in os.environ.items() if PASSED.fullmatch(name)}
        found = {"HADOOP_CONF_DIR": self.configuration, "SPARK_HOME": self.spark_home, "JAVA_HOME": self.java_home}
        return {
            **dict.fromkeys(("SPARK_SUBMIT_OPTS", "SPARK_LAUNCHER_OPTS"), BRIEF),
            **kept,
            **{name: str(path) for name, path in found.items()},
        }

    def shell(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Do one thing with files by Hadoop's own shell, whatever system they lie on."""
        classes = f"{self.configuration}{os.pathsep}{self.spark_home}/jars/*"
        flags = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx256m"]
        command = [str(self.java_home / "bin" / "java"), *flags, "-cp", classes, "org.apache.hadoop.fs.FsShell"]
        return subprocess.run([*command, *arguments], env=self.environ, capture_output=True, text=True, check=False)


def spark(settings: Settings) -> Path:
    """Spark's home; raise InvalidInput where there is none."""
    home = _folder(settings.spark_home, "SPARK_HOME")
    if not (home / "bin" / "spark-submit").is_file():
        raise InvalidInput(f"SPARK_HOME={home} has no bin/spark-submit", field="spark_home")
    return home


def jdk(environ: Mapping[str, str] = os.environ) -> Path:
    """The home of the JDK that Spark will run on; raise InvalidInput where there is none that it can."""
    given = environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{given}/bin" if given else None)
    if java is None:
        raise InvalidInput(f"Spark needs Java, and there is none; {ADVICE}", field="JAVA_HOME")
    said = subprocess.run([java, "--list-modules"], capture_output=True, text=True, check=False).stdout
    if f"{MODULE}@" not in said:
        raise InvalidInput(f"{java} lacks the module {MODULE}, which Spark needs; {ADVICE}", field="JAVA_HOME")
    return Path(java).resolve().parent.parent


def _folder(given: str, name: str) -> Path:
    if not given:
        raise InvalidInput(f"{name} is not set: it says where the cluster is, and spark_yarn needs it", field=name)
    if not Path(given).is_dir():
        raise InvalidInput(f"{name}={given} is no folder", field=name)
    return Path(given).resolve()
