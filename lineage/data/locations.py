"""Where datasets lie: addresses, the files behind them, and the digests of their bytes."""

import glob
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import fsspec

from lineage import trees
from lineage.artifacts import Artifact, digest_of
from lineage.data import tables
from lineage.errors import Conflict, DigestMismatch, InvalidInput, LineageError, NotFound, Unavailable
from lineage.filesystems import advice

#: What can be fetched, each by the fsspec implementation of that name where it is installed.
REMOTE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hdfs", "webhdfs", "memory")
FORMATS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".csv.gz": "csv", ".parquet": "parquet", ".pq": "parquet"}
CHUNK = 1 << 20  # bytes read at a time for a digest

Advance = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Location:
    """The files behind an address, on this machine; *uri* is the address as it may be stored."""

    uri: str
    root: Path
    files: Sequence[Path]


def without_userinfo(uri: str) -> str:
    """*uri* without a user, a password and a query, which may be secret and must not reach the graph."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def format_of(name: str) -> str | None:
    """The format that a file's *name* speaks of: csv, parquet, or none."""
    return next((format for suffix, format in FORMATS.items() if name.lower().endswith(suffix)), None)


@contextmanager
def located(uri: str) -> Iterator[Location]:
    """The files behind *uri*: a file, a folder, a pattern; those of other machines are fetched and removed after."""
    scheme, path = _split(uri)
    if scheme in {"", "file"}:
        yield _local(path)
        return
    with TemporaryDirectory(prefix="lineage-") as folder:
        _download(uri, Path(folder))
        files = sorted(each for each in Path(folder).rglob("*") if each.is_file())
        yield Location(uri=without_userinfo(uri), root=Path(folder), files=files)


def _split(uri: str) -> tuple[str, str]:
    if not uri.strip() or "\0" in uri:
        raise InvalidInput("the address of the dataset is empty or has a null character", field="uri")
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return "", uri
    if "::" in uri or (scheme != "file" and scheme not in REMOTE):
        raise InvalidInput.unknown("kind of address", scheme, ["file", *REMOTE], field="uri")
    if scheme == "file":
        host, _, path = rest.partition("/")
        if host not in {"", "localhost"}:
            raise InvalidInput(f"file://{host}/ names another machine; write file:///path", field="uri")
        return scheme, unquote(f"/{path}")
    return scheme, rest


def _local(path: str) -> Location:
    absolute = Path(os.path.abspath(Path(path).expanduser()))
    if absolute.is_dir():
        return Location(uri=f"{absolute}/", root=absolute, files=_data_files(absolute))
    if absolute.exists():
        return Location(uri=str(absolute), root=absolute.parent, files=[absolute])
    if not glob.has_magic(str(absolute)):
        raise NotFound(f"there is no file {path!r} on the machine that reads it")
    files = sorted(each for each in map(Path, glob.glob(str(absolute), recursive=True)) if each.is_file())
    if not files:
        raise NotFound(f"no file on the machine that reads it matches {path!r}")
    return Location(uri=str(absolute), root=_root(str(absolute)), files=files)


def _data_files(folder: Path) -> list[Path]:
    """The files of a folder that hold data; what starts with a dot or an underscore does not."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _is_hidden(path.relative_to(folder).as_posix()) and format_of(path.name):
            found.append(path)
    if not found:
        raise InvalidInput(f"the folder {str(folder)!r} has no CSV or Parquet file", field="uri")
    return found


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))


def _root(uri: str) -> Path:
    """The folder that the paths of a dataset's listing start from."""
    path = Path(uri)
    if uri.endswith("/"):
        return path
    if not glob.has_magic(uri) or path.exists():
        return path.parent
    parts = path.parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[: min(fixed, len(parts) - 1)])


def _download(uri: str, folder: Path) -> None:
    try:
        system, path = fsspec.core.url_to_fs(uri)
        is_folder = system.isdir(path)
        found = system.find(path) if is_folder else system.glob(path) if glob.has_magic(path) else [path]
        start = path.rstrip("/") if is_folder else os.path.commonpath([os.path.dirname(each) for each in found] or [""])
        for each in sorted(found):
            tables.check_stopped()
            name = each.removeprefix(start).lstrip("/")
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise InvalidInput(f"the listing of the address names {name!r}, which lies elsewhere", field="uri")
            if not is_folder or (format_of(name) and not _is_hidden(name)):
                target.parent.mkdir(parents=True, exist_ok=True)
                system.get_file(each, str(target))
    except ImportError as error:
        scheme = urlsplit(uri).scheme
        raise InvalidInput(f"{scheme}:// needs a package: {advice(scheme, error)}", field="uri") from error
    except ValueError as error:
        raise InvalidInput(f"{without_userinfo(uri)!r} cannot be reached: {error}", field="uri") from error
    except FileNotFoundError as error:
        raise NotFound(f"there is nothing at {without_userinfo(uri)!r}") from error
    except OSError as error:
        words = error.strerror or (str(error) if urlsplit(uri).scheme == "hdfs" else "no answer")
        raise Unavailable(f"{without_userinfo(uri)!r} cannot be fetched: {words}") from error
    if not any(each.is_file() for each in folder.rglob("*")):
        raise NotFound(f"there is no CSV or Parquet file at {without_userinfo(uri)!r}")


def listing(location: Location, advance: Advance = lambda done, total: None) -> list[dict[str, Any]]:
    """The files with their digests; *advance* hears how many bytes of how many are read."""
    total = sum(path.stat().st_size for path in location.files)
    done, found = 0, []
    for path in location.files:
        sha256, size = digest(path, lambda read, done=done: advance(done + read, total))  # type: ignore[misc]
        done += size
        found.append({"path": path.relative_to(location.root).as_posix(), "sha256": sha256, "bytes": size})
    return found


def digest(path: Path, advance: Callable[[int], None] = lambda done: None) -> tuple[str, int]:
    """The sha256 and the size of a file, read in pieces; raise InvalidInput when it may not be read."""
    sha256, done = hashlib.sha256(), 0
    try:
        with path.open("rb") as stream:
            while piece := stream.read(CHUNK):
                tables.check_stopped()
                sha256.update(piece)
                done += len(piece)
                advance(done)
    except PermissionError as error:
        raise InvalidInput(f"{path.name} may not be read by this process", field="uri") from error
    return sha256.hexdigest(), done


def digest_of_listing(files: Sequence[dict[str, Any]]) -> str:
    """The digest of a dataset: of the bytes where it is one file, of the listing where there are more."""
    if len(files) == 1:
        return str(files[0]["sha256"])
    return digest_of([[each["path"], each["sha256"]] for each in files])


def place(location: Location, files: Sequence[dict[str, Any]]) -> str:
    """The address to remember for what *files* list: that of the one file where it is one, else of them all."""
    scheme, _ = _split(location.uri)
    if len(files) == 1 and scheme in {"", "file"}:
        return str(location.root / files[0]["path"])
    return location.uri


@contextmanager
def opened(dataset: Artifact) -> Iterator[list[Path]]:
    """The files of a registered dataset, verified before they are read and unchanged when the block ends.

    They are read where they were registered last; where they are gone or changed there, from the places before.
    """
    if not dataset.body.get("files"):
        raise InvalidInput(f"the dataset {dataset.name!r} is only known by name; register it", field="dataset")
    if not isinstance(dataset.body.get("uri"), str):
        raise InvalidInput(f"nobody has recorded where the dataset {dataset.name!r} lies", field="dataset")
    with ExitStack() as stack:
        yield _first_found(dataset, stack)


def _first_found(dataset: Artifact, stack: ExitStack) -> list[Path]:
    refusals: list[LineageError] = []
    for uri in dict.fromkeys([*reversed(dataset.locations), dataset.body["uri"]]):
        try:
            return stack.enter_context(_opened(dataset, uri))
        except (NotFound, DigestMismatch, Unavailable, InvalidInput) as error:
            refusals.append(error)
    raise refusals[-1]  # that of the place which its body names


@contextmanager
def _opened(dataset: Artifact, uri: str) -> Iterator[list[Path]]:
    scheme, path = _split(uri)
    if scheme not in {"", "file"}:
        with located(uri) as location:
            yield verified(dataset, location.root)
        return
    moved = Path(path) if uri in dataset.locations and Path(path).is_file() else None
    files = verified(dataset, _root(path), moved)
    with unchanged(files, dataset.name):
        yield files


@contextmanager
def unchanged(files: Sequence[Path], name: str) -> Iterator[None]:
    """Raise Conflict when one of *files* is written while the block reads them."""
    before = [_state(file) for file in files]
    yield
    for file, state in zip(files, before, strict=True):
        if _state(file) != state:
            raise Conflict(f"dataset {name!r}: {file.name} was changed while it was read; try again")


def verified(dataset: Artifact, root: Path, moved: Path | None = None) -> list[Path]:
    """The dataset's files below *root*; raise DigestMismatch when their bytes changed, NotFound when one is gone.

    The listing may come from another system: a path in it that leads out of *root* is refused. Links are followed,
    since whoever owns the folder put them there.

    Args:
        moved: where the one file of the dataset lies now, whatever its listing calls it.
    """
    found, listed = [], list(_listed(dataset))
    for name, sha256 in listed:
        path = moved if moved is not None and len(listed) == 1 else (root / name).resolve()
        if not path.is_file():
            raise NotFound(f"dataset {dataset.name!r}: {name} is gone from {str(root)!r}")
        actual, _ = digest(path)
        if actual != sha256:
            raise DigestMismatch(f"dataset {dataset.name!r}, {name}", sha256, actual)
        found.append(path)
    return found


def _listed(dataset: Artifact) -> Iterator[tuple[str, str]]:
    """Paths and digests of the dataset's listing; raise InvalidInput where it is not one that `listing` could make."""
    listed = dataset.body["files"]
    for each in listed if isinstance(listed, list) else [listed]:
        name, sha256 = (each.get("path"), each.get("sha256")) if isinstance(each, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(sha256, str):
            raise InvalidInput(f"the listing of dataset {dataset.name!r} is damaged: {each!r:.200}", field="files")
        yield trees.plain(name), sha256


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
