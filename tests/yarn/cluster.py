"""A YARN cluster of one node with HDFS, as long as a command runs: `python -m tests.yarn.cluster -- pytest …`.

Hadoop's daemons come from Maven Central by a lock, Spark from PyPI's `pyspark`; both are fetched once into the cache.
They need a JDK of 17 or newer on the PATH or in JAVA_HOME. `python -m tests.yarn.cluster lock` makes the lock anew.
"""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from socket import create_server
from tempfile import TemporaryDirectory

import httpx
import jgo
from filelock import FileLock
from jgo.constants import MAVEN_CENTRAL_URL

from lineage.embedded.jars import Jar
from lineage.settings import Settings

HADOOP, SPARK = "3.5.0", "4.3.0"
SPARK_SHA256 = "e8c517948eff7088a7aa07449aa8eafa4a15a8d50319de2525a6fd26622476c6"
PARTS = ("yarn-server-resourcemanager", "yarn-server-nodemanager", "yarn-server-timelineservice", "common", "hdfs")
LOGGER = "org.slf4j:slf4j-simple:1.7.36"
#: Native parts for machines that are none of ours.
FOREIGN = ("osx", "riscv", "aarch")
LOCK = Path(__file__).with_name("jars.lock")
CONFIGURATION = Path(__file__).with_name("conf")
#: Folders of pyspark's source archive, and where Spark's home has them.
PLACES = {"deps/jars/": "jars/", "deps/bin/": "bin/", "lib/": "python/lib/", "deps/sbin/": "sbin/"}
OPENS = [word for name in ("lang", "util", "net") for word in ("--add-opens", f"java.base/java.{name}=ALL-UNNAMED")]
START_SECONDS, STOP_SECONDS, POLL_SECONDS = 90.0, 20.0, 0.25
SIDE_BY_SIDE = 16
PORTS = [
    "namenode",
    "namenode_http",
    "datanode",
    "datanode_http",
    "datanode_ipc",
    "scheduler",
    "tracker",
    "resources",
    "admin",
    "web",
    "node",
    "localizer",
    "node_web",
    "collector",
]
DAEMONS = {
    "namenode": "org.apache.hadoop.hdfs.server.namenode.NameNode",
    "datanode": "org.apache.hadoop.hdfs.server.datanode.DataNode",
    "resourcemanager": "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
    "nodemanager": "org.apache.hadoop.yarn.server.nodemanager.NodeManager",
}


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where a running cluster is found."""

    #: HADOOP_CONF_DIR, SPARK_HOME and JAVA_HOME for whoever submits to it.
    configuration: Path
    spark_home: Path
    java_home: Path
    #: Address of the ResourceManager's web services, and of HDFS.
    web: str
    hdfs: str
    #: The folder of its daemons and their processes, where this process has started them.
    root: Path = Path()
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Cluster":
        """The cluster that `python -m tests.yarn.cluster -- …` has started around this process."""
        return cls(
            configuration=Path(environ["HADOOP_CONF_DIR"]),
            spark_home=Path(environ["SPARK_HOME"]),
            java_home=Path(environ["JAVA_HOME"]),
            web=environ["LINEAGE_TEST_YARN"],
            hdfs=environ["LINEAGE_TEST_HDFS"],
        )

    @property
    def environ(self) -> dict[str, str]:
        """The same as variables, by which tests find it too."""
        return {
            "HADOOP_CONF_DIR": str(self.configuration),
            "SPARK_HOME": str(self.spark_home),
            "JAVA_HOME": str(self.java_home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "LINEAGE_TEST_YARN": self.web,
            "LINEAGE_TEST_HDFS": self.hdfs,
        }

    def start(self, name: str) -> None:
        """Start a daemon in a session of its own."""
        environ = {**os.environ, "JAVA_HOME": str(self.java_home), "HADOOP_CONF_DIR": str(self.configuration)}
        with (self.root / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                command(self.root, self.java_home, name),
                cwd=self.root,
                env=environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """End a daemon as a machine that fails does."""
        self.daemons[name].kill()
        self.daemons[name].wait()

    def end(self, name: str) -> None:
        """End a daemon, at the latest by force; a NodeManager ends its containers with it."""
        process = self.daemons[name]
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def java_home(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The JDK of this machine that has what Spark needs, or None."""
    given = environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{given}/bin" if given else None)
    if java is None:
        return None
    listing = subprocess.run([java, "--list-modules"], capture_output=True, text=True, check=False).stdout
    return Path(java).resolve().parent.parent if "jdk.incubator.vector@" in listing else None


def cache() -> Path:
    """Where what is fetched is kept."""
    folder = Settings.from_environ().cache
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def jars() -> list[Path]:
    """Hadoop's jars, each fetched when it is not there and held against the lock."""
    folder = cache() / "hadoop" / HADOOP
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [Jar.parse(line) for line in LOCK.read_text().splitlines() if not line.startswith("#")]

    def fetch(jar: Jar) -> Path:
        target = folder / jar.filename
        if not target.exists() or target.stat().st_size != jar.bytes:
            data = download(client, jar)
            if hashlib.sha256(data).hexdigest() != jar.sha256:
                raise SystemExit(f"{jar.filename} is not the file that was locked")
            fresh = target.with_suffix(".new")
            fresh.write_bytes(data)
            fresh.replace(target)
        return target

    with FileLock(folder.with_suffix(".lock")), ThreadPoolExecutor(SIDE_BY_SIDE) as pool, httpx.Client() as client:
        return list(pool.map(fetch, wanted))


def download(client: httpx.Client, jar: Jar) -> bytes:
    """The bytes of *jar*; a repository that stumbles is asked again."""
    for attempt in range(4):
        with suppress(httpx.TransportError):
            answer = client.get(f"{MAVEN_CENTRAL_URL}/{jar.path}", timeout=60)
            if answer.status_code < 500:
                return answer.raise_for_status().content
        time.sleep(2.0**attempt)
    raise SystemExit(f"Maven Central does not give {jar.path}")


def spark_home() -> Path:
    """Spark as PyPI has it, unpacked once."""
    target = cache() / "spark" / SPARK
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not target.exists():
            with TemporaryDirectory(dir=target.parent) as folder:
                place = Path(folder)
                listing = place / "requirements.txt"
                listing.write_text(f"pyspark=={SPARK} --hash=sha256:{SPARK_SHA256}\n")
                pip = [sys.executable, "-m", "pip"] if find_spec("pip") else ["pip"]
                command = [*pip, "download", "-q", "--no-deps", "--disable-pip-version-check"]
                subprocess.run([*command, "--require-hashes", "-d", folder, "-r", str(listing)], check=True)
                unpack(place / f"pyspark-{SPARK}.tar.gz", place / "home")
                (place / "home").rename(target)
    return target


def unpack(source: Path, target: Path) -> None:
    """Lay out Spark's home from pyspark's source archive."""
    with tarfile.open(source) as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            found = next((theirs for theirs in PLACES if name.startswith(theirs)), None)
            stream = archive.extractfile(member) if found is not None and member.isfile() else None
            if found is not None and stream is not None:
                path = target / (PLACES[found] + name.removeprefix(found))
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as copy:
                    shutil.copyfileobj(stream, copy)
                path.chmod(member.mode)


def configure(root: Path, properties: Mapping[str, str]) -> dict[str, str]:
    """Write Hadoop's configuration with free ports into *root*/conf, and return the values that it was made with.

    Args:
        properties: what comes in the place of ours, or beside it.
    """
    with ExitStack() as probes:
        found = [probes.enter_context(create_server(("127.0.0.1", 0))).getsockname()[1] for _ in PORTS]
    values = {f"{name}_port": str(port) for name, port in zip(PORTS, found, strict=True)} | {"root": str(root)}
    (root / "conf").mkdir()
    more = [(name, value.replace("@root@", str(root))) for name, value in properties.items()]
    for path in CONFIGURATION.iterdir():
        text = path.read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        given = "".join(f"<property><name>{name}</name><value>{value}</value></property>\n" for name, value in more)
        (root / "conf" / path.name).write_text(text.replace("</configuration>", f"{given}</configuration>"))
    for name in ("hdfs", "datanode", "static", "secondary"):  # the jars lack the web pages, without which none starts
        folder = root / "conf" / "webapps" / name / "WEB-INF"
        folder.mkdir(parents=True)
        (folder / "web.xml").write_text("<web-app/>\n")
    return values


def command(root: Path, java: Path, name: str, *arguments: str) -> list[str]:
    """What starts the daemon *name*."""
    classes = os.pathsep.join([str(root / "conf"), *map(str, jars())])
    heap = "-Xmx256m" if name.endswith("node") else "-Xmx384m"
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=info"
    flags = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", heap, quiet, "-Djava.net.preferIPv4Stack=true"]
    return [str(java / "bin" / "java"), *OPENS, *flags, "-cp", classes, DAEMONS[name], *arguments]


@contextmanager
def running(properties: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """A cluster as long as the block lasts, with *properties* of Hadoop's beside ours."""
    java = java_home()
    if java is None:
        raise SystemExit(
            "a JDK with the module jdk.incubator.vector is needed: install Debian's openjdk-17-jdk-headless"
        )
    with TemporaryDirectory(prefix="yarn-", ignore_cleanup_errors=True) as folder, ExitStack() as ends:
        root = Path(folder)
        values = configure(root, properties or {})
        with (root / "format.log").open("wb") as log:
            wanted = command(root, java, "namenode", "-format", "-force")
            subprocess.run(wanted, cwd=root, stdout=log, stderr=log, check=True)
        cluster = Cluster(
            configuration=root / "conf",
            spark_home=spark_home(),
            java_home=java,
            web=f"http://127.0.0.1:{values['web_port']}",
            hdfs=f"hdfs://127.0.0.1:{values['namenode_port']}",
            root=root,
        )
        for name in DAEMONS:
            cluster.start(name)
            ends.callback(cluster.end, name)
        wait(root, cluster.daemons, cluster.web)
        yield cluster


def wait(root: Path, processes: Mapping[str, subprocess.Popen[bytes]], web: str) -> None:
    """Wait until the node is there and HDFS takes files; end with the daemons' own words where they end."""
    until = time.monotonic() + START_SECONDS
    while not (_nodes(web) and b"successfully registered with NN" in _log(root, "datanode")):
        ended = [name for name, process in processes.items() if process.poll() is not None]
        if ended or time.monotonic() > until:
            words = "\n".join(_log(root, name).decode(errors="replace")[-3000:] for name in ended or processes)
            raise SystemExit(f"the cluster does not start: {words}")
        time.sleep(POLL_SECONDS)


def _log(root: Path, name: str) -> bytes:
    return (root / f"{name}.log").read_bytes()


def _nodes(web: str) -> bool:
    with suppress(httpx.HTTPError, ValueError, KeyError):
        answer = httpx.get(f"{web}/ws/v1/cluster/metrics", timeout=5).json()
        return bool(answer["clusterMetrics"]["activeNodes"])
    return False


def lock() -> None:
    """Print the lock: every jar that Maven resolves, fetched once for its digest."""
    print(f"# Hadoop {HADOOP}'s YARN and HDFS: coordinates, sha256, bytes; made by python -m tests.yarn.cluster lock")
    endpoint = "+".join([*(f"org.apache.hadoop:hadoop-{part}:{HADOOP}" for part in PARTS), LOGGER])
    with httpx.Client() as client:
        for found in sorted(jgo.resolve(endpoint), key=str):
            parts = (found.groupId, found.artifactId, found.version, found.classifier)
            names = dict(zip(("group", "artifact", "version", "classifier"), parts, strict=True))
            if not any(word in found.classifier for word in FOREIGN):
                data = download(client, Jar(**names, sha256="", bytes=0))
                print(f"{':'.join(filter(None, parts))} {hashlib.sha256(data).hexdigest()} {len(data)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command beside a cluster and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.yarn.cluster", description=__doc__)
    parser.add_argument("command", nargs="+", help="behind --, or `lock`")
    wanted = parser.parse_args(arguments).command
    if wanted == ["lock"]:
        lock()
        return 0
    began = time.monotonic()
    with running() as cluster:
        print(f"a cluster at {cluster.web} after {time.monotonic() - began:.1f} s", flush=True)
        return subprocess.run(wanted, env={**os.environ, **cluster.environ}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
