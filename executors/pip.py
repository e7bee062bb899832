"""What the user's pip is configured to do, read as pip reads it: files by rank, then its variables."""

import configparser
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from lineage.errors import InvalidInput

SECTIONS = ("global", "install")  # the second has the last word
SITE = Path("/etc/pip.conf")


def configured(environ: Mapping[str, str], *, prefix: Path = Path(sys.prefix), site: Path = SITE) -> dict[str, str]:
    """The settings of pip by the names of its variables, `PIP_INDEX_URL` and the like.

    Args:
        environ: whose PIP_ variables win over every file, and PIP_CONFIG_FILE over all other files.
        prefix: the environment that has a configuration of its own.
        site: that of the machine.
    """
    found: dict[str, str] = {}
    for path in _files(environ, prefix, site):
        found |= _read(path)
    return found | {name: text for name, text in environ.items() if name.startswith("PIP_") and text}


def _files(environ: Mapping[str, str], prefix: Path, site: Path) -> list[Path]:
    """The files that pip reads, the last one with the last word."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    shared = [Path(folder) / "pip" / "pip.conf" for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    own: list[Path] = []
    home = environ.get("HOME")
    if home and not (named and Path(named).exists()):
        folder = Path(environ.get("XDG_CONFIG_HOME") or Path(home) / ".config")
        own = [Path(home) / ".pip" / "pip.conf", folder / "pip" / "pip.conf"]
    files = [*shared, site, *own, prefix / "pip.conf", *([Path(named)] if named else [])]
    return [path for path in files if path.is_file()]


def _read(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        what = type(error).__name__  # the error itself quotes lines, which may have passwords
        raise InvalidInput(f"pip's configuration {path} cannot be read: {what}", field="index_url") from None
    found = {}
    for section in SECTIONS:
        for name, text in parser.items(section) if parser.has_section(section) else ():
            key = name.lower().replace("_", "-").removeprefix("--").replace("-", "_").upper()
            found[f"PIP_{key}"] = " ".join(text.split())
    return found
