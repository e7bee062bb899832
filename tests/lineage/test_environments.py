"""Environments as they are asked for, and as environment.yml."""

from typing import Any

import pytest
import yaml

from lineage import environments
from lineage.artifacts import Artifact, ArtifactKind
from lineage.environments import Conda, Wanted
from lineage.errors import InvalidInput

FILE = """
name: flights
channels: [conda-forge]
dependencies:
- python=3.11
- numpy>=2
- pip
- pip: [six==1.17.0]
"""


def test_a_file_is_read() -> None:
    """What an environment.yml asks for: Python's version, conda's packages, pip's."""
    theirs = Conda(channels=["conda-forge"], packages=["python=3.11", "numpy>=2"])
    wanted = {"name": "flights", "version": "3.11", "packages": ["six==1.17.0"], "conda": theirs}

    assert wanted == environments.parse(FILE)


def test_python_alone_needs_no_channel() -> None:
    """A file with Python and packages of pip is an environment without conda."""
    found = environments.parse("name: x\ndependencies: [python=3.11, {pip: [six]}]")

    assert ("3.11", ["six"], None) == (found["version"], found["packages"], found["conda"])


@pytest.mark.parametrize("text", ["{", "name: x", "dependencies: six", "dependencies: [{conda: [x]}]", "- a"])
def test_what_is_no_such_file(text: str) -> None:
    """Other text is refused, naming the field."""
    with pytest.raises(InvalidInput) as caught:
        environments.parse(text)

    assert "text" == caught.value.field


def test_export_is_exact_and_comes_back() -> None:
    """An environment goes out with the versions that were locked, and asks for these when it comes in again."""
    conda = {"channels": ["file:///c"], "locked": [{"name": "numpy", "version": "2.1", "build": "0"}]}
    body = {"language": "python", "version": "3.11", "locked": [{"name": "six", "version": "1.17.0"}], "conda": conda}
    text = environments.export(Artifact.defined(ArtifactKind.ENVIRONMENT, "flights", body))
    found = environments.parse(text)

    assert ["python=3.11", "numpy=2.1=0", "pip", {"pip": ["six==1.17.0"]}] == yaml.safe_load(text)["dependencies"]
    assert Conda(channels=["file:///c"], packages=["python=3.11", "numpy=2.1=0"]) == found["conda"]
    environments.check(Wanted(packages=found["packages"], conda=found["conda"]))


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("packages", {}),
        ("command", {"packages": ["six"], "command": ["sh"]}),
        ("baseImage", {"language": "R", "command": ["Rscript"]}),
        ("command", {"language": "R", "base_image": "r-base"}),
        ("packages", {"language": "R", "base_image": "r-base", "command": ["Rscript"], "packages": ["six"]}),
        ("baseImage", {"packages": ["six"], "base_image": "a b"}),
        ("systemPackages", {"packages": ["six"], "system_packages": ["gcc; reboot"]}),
        ("conda", {"conda": Conda(channels=[], packages=["numpy"])}),
        ("conda", {"conda": Conda(channels=["https://user:secret@host/c"], packages=["numpy"])}),
        ("conda", {"conda": Conda(channels=["c"], packages=["https://host/numpy.conda"])}),
    ],
)
def test_what_cannot_be(field: str, given: dict[str, Any]) -> None:
    """An environment that makes no sense is refused, and the field is named."""
    with pytest.raises(InvalidInput) as caught:
        environments.check(Wanted(**given))

    assert field == caught.value.field
