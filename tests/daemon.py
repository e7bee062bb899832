"""What a session of tests makes on the Docker daemon has one label, and goes at the end of the session.

An image has the labels of what it was built on, and a container those of its image; so it is enough that everything is
built on a base that has the label. What is left of a session that was killed goes with
`docker image prune -a --filter label=io.lineage.tests`.
"""

import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress

import pytest

LABEL = "io.lineage.tests"
#: What the label of this session says, the same in all its processes.
SESSION = pytest.StashKey[str]()


def base(image: str, session: str) -> str:
    """The name of *image* with the label of *session*, made unless it is there."""
    name = f"lineage-tests:{session}"
    if not _listed("image", "ls", "-q", name):
        recipe = f"FROM {image}\nLABEL {LABEL}={session}\n"
        subprocess.run(
            ["docker", "build", "-q", "-t", name, "-"], input=recipe, check=True, capture_output=True, text=True
        )
    return name


def left(session: str) -> Sequence[str]:
    """The containers and images of *session*; none where there is no daemon."""
    if shutil.which("docker") is None:
        return []
    label = f"label={LABEL}={session}"
    with suppress(subprocess.CalledProcessError):
        return _listed("ps", "-aq", "--filter", label) + _listed("image", "ls", "-aq", "--filter", label)
    return []


def remove(session: str) -> Sequence[str]:
    """Remove all that *session* has made; what could not be removed."""
    found, before = left(session), None
    while found and found != before:
        subprocess.run(["docker", "rm", "-fv", *found], check=False, capture_output=True)
        # One that others are built on goes after them, and one without a name with the last of those.
        subprocess.run(["docker", "image", "rm", "-f", *found], check=False, capture_output=True)
        found, before = left(session), found
    return found


def _listed(*words: str) -> list[str]:
    done = subprocess.run(["docker", *words], check=True, capture_output=True, text=True)
    return list(dict.fromkeys(done.stdout.split()))
