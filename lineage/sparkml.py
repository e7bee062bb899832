"""Models of Spark ML as one file: the directory that Spark writes, zipped, without what Spark draws and stamps.

A directory names the classes that are made when it is read. They are looked at here, where nothing of it is loaded.
"""

import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lineage.errors import InvalidInput

#: The file, the folder that it is unpacked into in MLflow's layout, and what reads it.
FILE, FOLDER, CLASS = "sparkml.zip", "sparkml", "pyspark.ml.pipeline.PipelineModel"
MEMBERS, BYTES = 100_000, 4 * 1024**3  # what a model may hold before it is taken for a bomb
NOTE_BYTES = 16 * 1024**2  # and the metadata of one part of it
EPOCH = (1980, 1, 1, 0, 0, 0)
METADATA, TREES = "metadata", "treesMetadata"
#: Spark's own, in the words of its two languages: packages in lower case, then the name of a class.
OWN = re.compile(r"(org\.apache\.spark|pyspark)\.ml(\.[a-z0-9_]+)*\.[A-Z]\w*")
#: `part-00000-<uuid>-c000.snappy.parquet`, as Spark names what a task has written.
PART = re.compile(r"part-(\d{5})(?:-[0-9a-f-]{36})?(?:[-.]c(\d+))?(\.[\w.]+)?")
#: The name that Spark gives an estimator or a model, drawn anew whenever one is made.
DRAWN = re.compile(r"([A-Za-z]\w*)_[0-9a-f]{12,}")
NOTES, TABLES = ("", ".txt"), (".parquet", ".snappy.parquet", ".zstd.parquet", ".gz.parquet", ".lz4.parquet")


def normalise(path: Path) -> None:
    """Rewrite the model at *path* without what Spark draws and stamps; nothing of it is loaded.

    Spark draws names for parts and files, and stamps the time of day: all that is numbered, or left out. Raise
    InvalidInput where it is no model of Spark ML.
    """
    notes, files = _read(path)
    names = _names(notes)
    fresh = path.with_name(f"{path.name}.new")
    try:
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as target:
            for name, data in sorted((_renamed(each, names), each) for each in [*notes, *files]):
                content = _plain(notes[data], names) if data in notes else _same(data, files[data], names)
                member = zipfile.ZipInfo(name, EPOCH)
                member.compress_type = zipfile.ZIP_DEFLATED
                target.writestr(member, content)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def foreign(path: Path, allowed: str = "") -> list[str]:
    """The classes that the model at *path* names which are neither Spark's own nor *allowed*, comma separated.

    Raise InvalidInput where it is no model of Spark ML.
    """
    more = [each.strip() for each in allowed.split(",") if each.strip()]
    found = {name for note in _read(path)[0].values() for name in _classes(note)}
    return sorted(name for name in found if not OWN.fullmatch(name) and not any(_covers(each, name) for each in more))


def _covers(allowed: str, name: str) -> bool:
    return name.startswith(allowed[:-1]) if allowed.endswith(".*") else name == allowed


def _read(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, bytes]]:
    """The metadata of each part, and every other file, by their paths."""
    notes: dict[str, dict[str, Any]] = {}
    files: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS or sum(member.file_size for member in members) > BYTES:
                raise InvalidInput(f"{path.name} holds more than a model file may", field="model")
            for member in members:
                name = PurePosixPath(member.filename)
                if not member.is_dir() and not name.name.startswith((".", "_")):  # Hadoop's sums and its _SUCCESS
                    _check(name)
                    data = archive.read(member)
                    if name.parent.name == METADATA:
                        notes[member.filename] = _note(name, data)
                    else:
                        files[member.filename] = data
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeError) as error:
        raise InvalidInput(f"{path.name} is not a zipped model of Spark ML: {error}", field="model") from error
    folders = [PurePosixPath(name).parent for name in notes]
    if PurePosixPath(METADATA) not in folders or len(set(folders)) < len(folders):
        raise InvalidInput(f"{path.name} is not a model of Spark ML: it has no metadata, or two of it", field="model")
    return notes, files


def _check(name: PurePosixPath) -> None:
    """Hold a path against those that Spark writes; whoever reads a folder reads all that lies in it."""
    found = PART.fullmatch(name.name)
    suffixes = NOTES if name.parent.name == METADATA else TABLES
    if (
        found is None
        or (found[3] or "") not in suffixes
        or name.is_absolute()
        or ".." in name.parts
        or any(each[0] in "._" for each in name.parts)
    ):
        raise InvalidInput(f"the model holds {str(name)!r}, which is no file of Spark ML's", field="model")


def _note(name: PurePosixPath, data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data) if len(data) <= NOTE_BYTES else None
        list(_classes(found))  # nested deeper than we can follow is nested too deep
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name} of the model is no JSON: {error}", field="model") from error
    if not isinstance(found, dict) or not isinstance(found.get("class"), str):
        raise InvalidInput(f"{name} of the model names no class", field="model")
    return found


def _classes(value: Any) -> Iterator[str]:
    """Whatever stands under `class`, at any depth."""
    if isinstance(value, list):
        for each in value:
            yield from _classes(each)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if key == "class":
                yield each if isinstance(each, str) else repr(each)
            else:
                yield from _classes(each)


def _names(notes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Drawn name → one that is numbered by where it first stands."""
    names: dict[str, str] = {}
    for path in sorted(notes):
        stages = (notes[path].get("paramMap") or {}).get("stageUids") or ()
        for each in (notes[path].get("uid"), *stages):
            found = DRAWN.fullmatch(each) if isinstance(each, str) else None
            if found and each not in names:
                names[each] = f"{found[1]}_{len(names):012x}"
    return names


def _replaced(text: str, names: Mapping[str, str]) -> str:
    return DRAWN.sub(lambda found: names.get(found[0], found[0]), text)


def _renamed(path: str, names: Mapping[str, str]) -> str:
    folder, _, name = path.rpartition("/")
    found = PART.fullmatch(name)
    assert found is not None  # as _check has seen
    chunk = f"-c{found[2]}" if int(found[2] or 0) else ""
    parts = [_numbered(part, names) for part in folder.split("/")]
    return f"{'/'.join(parts)}/part-{found[1]}{chunk}{found[3] or ''}"


def _numbered(part: str, names: Mapping[str, str]) -> str:
    number, _, name = part.partition("_")
    return f"{number}_{_replaced(name, names)}" if number.isdigit() else _replaced(part, names)


def _plain(note: Mapping[str, Any], names: Mapping[str, str]) -> bytes:
    kept = {**note, "timestamp": 0} if "timestamp" in note else note
    return f"{_replaced(json.dumps(kept, sort_keys=True, separators=(',', ':')), names)}\n".encode()


def _same(path: str, data: bytes, names: Mapping[str, str]) -> bytes:
    """The bytes of a file; the notes of a forest's trees, which stand in a table, without time and drawn names."""
    if PurePosixPath(path).parent.name != TREES:
        return data
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{path} of the model cannot be read: {error}", field="model") from error
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            notes = {str(row): _note(PurePosixPath(path), text.encode()) for row, text in _rows(table.column(place))}
            known = {**names, **_names(notes)}
            texts = [_plain(notes[str(row)], known).decode() for row in range(table.num_rows)]
            table = table.set_column(place, field, pa.array(texts, field.type))
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def _rows(column: pa.ChunkedArray) -> Iterator[tuple[int, str]]:
    return enumerate(each or "" for each in column.to_pylist())
