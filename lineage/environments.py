"""What an environment may be asked to have, and its exchange with others as environment.yml."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from lineage.artifacts import Artifact
from lineage.errors import InvalidInput

PYTHON = "python"
REFERENCE = re.compile(r"[A-Za-z0-9][\w.:/@{}-]{0,300}")
SYSTEM_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.:-]+(=[\w.+:~-]+)?")
#: A name of conda's, with versions and a build: no address, no path.
CONDA_PACKAGE = re.compile(r"(?:[\w.-]+::)?[A-Za-z0-9_][\w.-]*(\s*[<>=!~]?=?\s*[\w.*<>=!~,|+-]+)?(\s*=?\s*[\w.*-]+)?")
CONDA_PYTHON = re.compile(r"python\s*={0,2}\s*(3\.\d+(?:\.\d+)?)(?:\.\*)?(?:\s|=|$)")


@dataclass(frozen=True, kw_only=True)
class Conda:
    """Packages from channels of conda: names of channels, or their addresses, the most trusted first."""

    channels: Sequence[str]
    packages: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an environment should have: a language, its version, packages with or without versions.

    Another language than Python brings its own image, and the command in it that speaks the run protocol.
    """

    packages: Sequence[str] = ()
    language: str = PYTHON
    version: str | None = None
    conda: Conda | None = None
    system_packages: Sequence[str] = ()
    base_image: str | None = None
    command: Sequence[str] = ()


def check(asked: Wanted) -> None:
    """Raise InvalidInput, naming the field, where an environment cannot be as it is asked for."""
    if asked.language == PYTHON:
        if asked.command:
            raise InvalidInput("a python environment runs the platform's own worker: give no command", field="command")
        if not asked.packages and asked.conda is None:
            raise InvalidInput("an environment needs at least one package", field="packages")
    else:
        _check_other(asked)
    check_image(asked.base_image, asked.system_packages)
    if asked.conda is not None:
        _check_conda(asked.conda)


def check_image(base: str | None, system_packages: Sequence[str]) -> None:
    """Raise InvalidInput where an image cannot be built on *base* with these packages of its system."""
    if base is not None and not REFERENCE.fullmatch(base):
        raise InvalidInput(f"{base!r} is not the name of an image", field="baseImage")
    for package in system_packages:
        if not SYSTEM_PACKAGE.fullmatch(package):
            raise InvalidInput(f"{package!r} is not the name of a system package", field="systemPackages")


def _check_other(asked: Wanted) -> None:
    if not asked.base_image:
        raise InvalidInput(f"an environment of {asked.language} needs an image that has it", field="baseImage")
    if not asked.command or any("\0" in each for each in asked.command):
        message = f"an environment of {asked.language} needs the command that speaks the run protocol"
        raise InvalidInput(message, field="command")
    for field in ("packages", "conda", "system_packages"):
        if getattr(asked, field):
            message = f"the image of {asked.language} has all that it needs: packages are for environments of python"
            raise InvalidInput(message, field="systemPackages" if field == "system_packages" else field)


def _check_conda(conda: Conda) -> None:
    if not conda.channels:
        raise InvalidInput("name a channel to take conda packages from, as conda-forge", field="conda")
    for channel in conda.channels:
        parts = urlsplit(channel)
        if parts.username or parts.password or "/t/" in parts.path:
            message = "a channel is stored without credentials: keep them where rattler looks for them"
            raise InvalidInput(message, field="conda")
        if not channel or channel.startswith("-") or channel != channel.strip():
            raise InvalidInput(f"{channel!r} is not a channel", field="conda")
    if not conda.packages:
        raise InvalidInput("name at least one package to take from the channels", field="conda")
    for package in conda.packages:
        if not CONDA_PACKAGE.fullmatch(package.strip()):
            raise InvalidInput(f"{package!r} is no conda package: write it as 'numpy>=2'", field="conda")


def export(environment: Artifact) -> str:
    """The environment as the text of an environment.yml, with every version exact."""
    body = environment.body
    conda = body.get("conda") or {}
    theirs = [f"{each['name']}={each['version']}={each['build']}" for each in conda.get("locked", ())]
    pinned = [f"{each['name']}=={each['version']}" for each in body.get("locked") or ()]
    dependencies: list[Any] = list(theirs)
    if body.get("language") == PYTHON and not any(each.startswith("python=") for each in theirs):
        dependencies.insert(0, f"python={body.get('version')}")
    if pinned:
        dependencies += ["pip", {"pip": pinned}]
    document: dict[str, Any] = {"name": environment.name, "channels": list(conda.get("channels", ()))}
    return yaml.safe_dump(document | {"dependencies": dependencies}, sort_keys=False)


def parse(text: str) -> Mapping[str, Any]:
    """What an environment.yml asks for, as fields of a registration: name, version, packages, conda.

    A file that names Python alone, beside packages for pip, needs no channel.

    Raises:
        InvalidInput: it is no such file, or asks for what cannot be had.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"this is no YAML: {error}", field="text") from error
    if not isinstance(document, dict) or not isinstance(document.get("dependencies"), list):
        raise InvalidInput("an environment.yml has a list of dependencies", field="text")
    packages, specs, version = [], [], None
    for each in document["dependencies"]:
        if isinstance(each, dict) and set(each) == {"pip"} and isinstance(each["pip"], list):
            packages += [str(package) for package in each["pip"]]
        elif isinstance(each, str):
            specs.append(each.strip())
        else:
            raise InvalidInput(f"{each!r} is neither a package nor a list for pip", field="text")
    for spec in specs:
        matched = CONDA_PYTHON.match(spec)
        version = matched[1] if matched else version
    channels = [str(each) for each in document.get("channels") or () if each != "nodefaults"]
    theirs = [each for each in specs if each != "pip"]
    if not channels and all(each == PYTHON or CONDA_PYTHON.match(each) for each in theirs):
        theirs = []  # the Python of this machine, or of the base image, will do
    conda = Conda(channels=channels, packages=theirs) if theirs else None
    return {"name": document.get("name"), "version": version, "packages": packages, "conda": conda}
