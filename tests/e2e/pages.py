"""Pages of the documentation that are walked through: each command in a shell, what it prints held against the page."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Ids and digests, which differ from one walk to the next; what is said of one is said of it throughout.
ID = re.compile(r"\b(?:plan|run)-[0-9a-f]{20}\b|\b[0-9a-f]{12}\b")
#: What differs and matters to nobody: how long it took.
TIME = re.compile(r"\b\d+:\d\d:\d\d\b")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command, and what the page says that it prints."""

    command: str
    prints: str


def steps(page: Path) -> Iterator[Step]:
    """What stands in the blocks `console` of a page, from the first to the last: `$` begins a command, `>` goes on."""
    for block in BLOCK.findall(page.read_text("utf-8")):
        for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *rest = each.splitlines()
            more = [line[2:] for line in rest if f"{line} ".startswith("> ")]
            prints = [line for line in rest if not f"{line} ".startswith("> ")]
            yield Step(command="\n".join([first, *more]), prints="\n".join(prints))


def walk(page: Path, home: Path, folder: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Walk through *page* in *folder*, against the server of *home*: what each step should print, and what it prints.

    An id that the page has is the one that was printed in its place before.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {**environ, "LINEAGE_HOME": str(home), "COLUMNS": "110", "PATH": path}
    known = dict[str, str]()
    for step in steps(page):
        command = _translated(step.command, known)
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=given, capture_output=True, text=True, timeout=300, check=False
        )
        known = {**dict(zip(ID.findall(step.prints), ID.findall(done.stdout), strict=False)), **known}
        yield _plain(_translated(step.prints, known)), _plain(done.stdout)


def _translated(text: str, known: Mapping[str, str]) -> str:
    return ID.sub(lambda found: known.get(found[0], found[0]), text)


def _plain(text: str) -> str:
    lines = [TIME.sub("0:00:00", line).rstrip() for line in text.splitlines()]
    return "\n".join(lines).strip("\n")
