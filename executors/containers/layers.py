"""Layers: installed packages put in the order in which they change, so that most of an image is reused."""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

HEAVY_BYTES = 10 * 1024 * 1024  # a package of this size has a layer of its own
MOST_HEAVY = 20  # layers for heavy packages; overlay file systems stop at 127


@dataclass(frozen=True, kw_only=True)
class Installed:
    """One package in a folder where packages are installed."""

    name: str
    #: Paths from that folder, sorted.
    files: Sequence[str]
    bytes: int
    #: The names of what it may depend on.
    requires: frozenset[str]
    #: Platform tags of its wheel, such as "any" or "manylinux_2_28_x86_64".
    platforms: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Packages that share a layer; *name* is a folder of the build's context, *root* where their files lie now."""

    name: str
    root: Path
    packages: Sequence[Installed]


def normal(name: str) -> str:
    """The one way to write the name of a package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(root: Path) -> list[Installed]:
    """The packages of the virtual environment in *root*, sorted by name."""
    homes = [home for home in root.glob("lib*") if not home.is_symlink()]  # lib64 is another name of lib
    records = [record for home in homes for record in home.glob("python*/site-packages/*.dist-info/RECORD")]
    return sorted((_read(root, record) for record in records), key=_name)


def _name(package: Installed) -> str:
    return package.name


def _read(root: Path, record: Path) -> Installed:
    home = record.parent
    described = HeaderParser().parsestr((home / "METADATA").read_text("utf-8", errors="replace"))
    wheel = HeaderParser().parsestr((home / "WHEEL").read_text("utf-8"))
    files = sorted(set(_files(root, record)))
    return Installed(
        name=normal(described["Name"]),
        files=files,
        bytes=sum((root / each).stat().st_size for each in files),
        requires=frozenset(normal(re.split(r"[^\w.-]", each)[0]) for each in described.get_all("Requires-Dist") or ()),
        platforms=frozenset(each.rpartition("-")[2] for each in wheel.get_all("Tag") or ()),
    )


def _files(root: Path, record: Path) -> Iterable[str]:
    site = record.parent.parent
    with record.open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream):
            path = Path(*_plain((*site.relative_to(root).parts, *Path(row[0]).parts)))
            if row[0] and not Path(row[0]).is_absolute() and (root / path).is_file() and path.suffix != ".pyc":
                yield path.as_posix()


def _plain(parts: Iterable[str]) -> list[str]:
    """The parts of a path without "..", which never leads out of its root."""
    found: list[str] = []
    for part in parts:
        if part != "..":
            found.append(part)
        elif found:
            found.pop()
    return found


def of_conda(root: Path) -> list[Installed]:
    """The packages of the prefix of conda in *root*, sorted by name."""
    found = [_read_meta(root, path) for path in (root / "conda-meta").glob("*.json")]
    return sorted(found, key=_name)


def _read_meta(root: Path, path: Path) -> Installed:
    """Read one, and take out of its record what is true of this machine alone."""
    record = json.loads(path.read_text("utf-8"))
    for name in ("extracted_package_dir", "link", "url", "channel"):
        record.pop(name, None)
    text = json.dumps(record, indent=1, sort_keys=True)
    path.unlink()  # it may share its bytes with a cache
    path.write_text(text, "utf-8")
    files = sorted(each for each in record["files"] if not each.endswith(".pyc"))
    own = path.relative_to(root).as_posix()
    return Installed(
        name=record["name"],
        files=[*files, own],
        bytes=sum((root / each).lstat().st_size for each in files),
        requires=frozenset(each.split()[0] for each in record.get("depends") or ()),
        platforms=frozenset(),
    )


def layers(root: Path, packages: Sequence[Installed], asked: Iterable[str], *, prefix: str = "") -> list[Layer]:
    """Layers of *packages* that lie in *root*, the steadiest first; *prefix* goes before their names.

    Heavy ones each have their own, what others build on before what builds on it; then comes what is small and nobody
    *asked* for by name, and at last what was asked for, which changes most.
    """
    wanted = {normal(each) for each in asked}
    heights = _heights({each.name: each.requires for each in packages})
    heavy = sorted((each for each in packages if each.bytes >= HEAVY_BYTES), key=lambda each: -each.bytes)[:MOST_HEAVY]
    heavy.sort(key=lambda each: (heights[each.name], each.name))
    small = [each for each in packages if each not in heavy]
    groups = [(each.name, [each]) for each in heavy]
    groups.append(("dependencies", [each for each in small if each.name not in wanted]))
    groups.append(("asked", [each for each in small if each.name in wanted]))
    return [Layer(name=prefix + name, root=root, packages=group) for name, group in groups if group]


def _heights(graph: Mapping[str, frozenset[str]]) -> Mapping[str, int]:
    """How many packages stand below each, on the longest way down; what goes in a circle is left out of it."""
    found: dict[str, int] = {}

    def height(name: str, above: frozenset[str]) -> int:
        if name not in found:
            below = [each for each in graph[name] if each in graph and each not in above and each != name]
            found[name] = 1 + max((height(each, above | {name}) for each in below), default=-1)
        return found[name]

    for name in sorted(graph):
        height(name, frozenset())
    return found
