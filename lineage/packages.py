"""Versions of a package by PEP 440: which of those that environments have fall under a specifier."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from lineage.artifacts import Artifact
from lineage.errors import InvalidInput

if TYPE_CHECKING:  # clients read requirements, and need no driver of the graph for that
    from lineage.store import Store

PEP_440 = "pypi"  # the index whose versions follow PEP 440
#: A version that means the same by PEP 440 and elsewhere. Others may parse, and yet stand elsewhere in their own order:
#: to PEP 440, 2024a of conda's tzdata is what came before a 2024.
PLAIN = re.compile(r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?")
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Incomparable:
    """A package version of which cannot be said whether it falls under the specifier, and why."""

    package: Artifact
    reason: str


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """Versions of one package: those that fall under a specifier, the others, and those that do not compare."""

    matching: Sequence[Artifact]
    others: Sequence[Artifact]
    incomparable: Sequence[Incomparable]


def parse(text: str) -> tuple[str, str]:
    """The name and the specifier of *text*, such as `scikit-learn<1.5`; raise InvalidInput when it has other parts."""
    try:
        found = Requirement(text)
    except InvalidRequirement as error:
        message = f"{text!r} is no package with a specifier such as 'scikit-learn<1.5': {str(error).splitlines()[0]}"
        raise InvalidInput(message, field="name") from error
    if found.url or found.marker or found.extras:
        raise InvalidInput(f"{text!r}: give a name and a specifier alone, such as 'scikit-learn<1.5'", field="name")
    return found.name, str(found.specifier)


def sort(packages: Iterable[Artifact], specifier: str) -> Sorted:
    """Tell which *packages* fall under *specifier*, by version; raise InvalidInput when it is none of PEP 440.

    Pre-releases count as versions. By PEP 440, those of the version that `<` names do not fall under it.
    """
    try:
        wanted = SpecifierSet(specifier)
    except InvalidSpecifier as error:
        message = f"{specifier!r} is no specifier of PEP 440; write it as '<1.5' or '>=1.2,<2'"
        raise InvalidInput(message, field="specifier") from error
    matching: list[tuple[Version, Artifact]] = []
    others: list[tuple[Version, Artifact]] = []
    incomparable: list[Incomparable] = []
    for each in sorted(packages, key=lambda each: (each.namespace, each.version)):
        if isinstance(version := _version(each), str):
            incomparable.append(Incomparable(package=each, reason=version))
        else:
            (matching if wanted.contains(version, prereleases=True) else others).append((version, each))
    return Sorted(matching=_ordered(matching), others=_ordered(others), incomparable=incomparable)


async def find(store: Store, name: str, specifier: str, *, as_of: datetime | None = None) -> Sorted:
    """The versions of the package *name* in the graph, however it is spelled and of every index, by *specifier*."""
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} is not the name of a package; the specifier is given apart", field="name")
    canonical = canonicalize_name(name)
    ids = await store.versions.of_package(canonical, as_of=as_of)
    found = await store.artifacts.by_ids(ids)
    return sort((each for each in found.values() if canonicalize_name(each.name) == canonical), specifier)


def _version(package: Artifact) -> Version | str:
    """The version of *package*, or why it does not compare."""
    if package.namespace != PEP_440 and not PLAIN.fullmatch(package.version):
        return f"PEP 440 may not order {package.version} as {package.namespace} does"
    try:
        return Version(package.version)
    except InvalidVersion:
        return f"{package.version} is no version of PEP 440"


def _ordered(found: Sequence[tuple[Version, Artifact]]) -> list[Artifact]:
    return [each for _, each in sorted(found, key=lambda pair: (pair[0], pair[1].id))]
