"""Start Neo4j as its official image does, as far as compose.yaml relies on it: this is a stand-in for that image.

The password comes from the file that NEO4J_AUTH_FILE names, which the user neo4j must be able to read; other NEO4J_*
variables are settings; data are in /data; Bolt listens on 7687; the server is the container's first process, and not
root's. The arguments are those of Java.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

USER = 7474
HOME, DATA = Path("/opt/neo4j"), Path("/data")
JAVA = ["/opt/java/bin/java", *sys.argv[1:], "-cp", f"{HOME}/jars/*"]


def is_readable(path: Path) -> bool:
    """Whether the user neo4j may read *path*, by its owner and mode."""
    found = path.stat()
    return bool(found.st_mode & 0o004) or (found.st_uid == USER and bool(found.st_mode & 0o400))


def settings() -> dict[str, str]:
    """What the variables set: one underscore is a dot, two are an underscore."""
    chosen = {"server.default_listen_address": "0.0.0.0", "server.directories.data": str(DATA)}
    for name, value in os.environ.items():
        if re.match(r"NEO4J_(?!AUTH|HOME|CONF)", name):
            chosen[name.removeprefix("NEO4J_").replace("_", ".").replace("..", "_")] = value
    return chosen


def main() -> None:
    """Take the password from its file, give up root, and become the server."""
    secret = Path(os.environ["NEO4J_AUTH_FILE"])
    if not is_readable(secret):
        sys.exit(f"the user neo4j ({USER}) cannot read {secret}")
    user, password = secret.read_text().strip().split("/")
    (HOME / "conf" / "neo4j.conf").write_text("".join(f"{name}={value}\n" for name, value in settings().items()))
    for path in (DATA, HOME, HOME / "conf", HOME / "logs"):
        os.chown(path, USER, USER)
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)
    os.environ |= {"NEO4J_HOME": str(HOME), "NEO4J_CONF": str(HOME / "conf")}
    if user != "neo4j":
        sys.exit("the first user is neo4j")
    if not (DATA / "databases").exists():
        subprocess.run([*JAVA, "org.neo4j.cli.AdminTool", "dbms", "set-initial-password", password], check=True)
    folders = ["--home-dir", str(HOME), "--config-dir", str(HOME / "conf")]
    os.execv(JAVA[0], [*JAVA, "org.neo4j.server.Neo4jCommunity", *folders])


if __name__ == "__main__":
    main()
