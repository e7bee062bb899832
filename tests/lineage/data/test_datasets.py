"""Datasets: what is read from real files, and what is said of those that cannot be read."""

import gzip
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lineage.artifacts import Artifact, ArtifactKind, digest_of
from lineage.data import locations, tables
from lineage.data.datasets import Profile, profile, read_head, verify
from lineage.errors import Conflict, DigestMismatch, InvalidInput, NotFound

pytestmark = pytest.mark.anyio


def types(dataset: Artifact) -> dict[str, str]:
    """The types of a dataset's columns by name."""
    return {each["name"]: each["type"] for each in dataset.body["columns"]}


def statistics(found: Profile) -> dict[str, Mapping[str, Any]]:
    """The statistics of a profile's columns by name."""
    return {each.body["column"]: each.body["statistics"] for each in found.columns}


async def test_flights_are_read_whole(nycflights: Mapping[str, Path]) -> None:
    """The real flights: rows, types, missing values written NA, statistics and the digest of the bytes."""
    found = await profile(str(nycflights["flights"]), name="flights")

    digest = hashlib.sha256(nycflights["flights"].read_bytes()).hexdigest()
    assert digest == found.dataset.digest
    assert found.dataset.body["row_count"] == 336_776
    assert types(found.dataset)["time_hour"] == "TIMESTAMP WITH TIME ZONE"
    delay = statistics(found)["dep_delay"]
    assert (8255, -43, 1301) == (delay["null_count"], delay["min"], delay["max"])
    assert delay["mean"] == pytest.approx(12.639, abs=0.001)


async def test_columns_belong_to_their_dataset(people: Artifact) -> None:
    """Each column is an artifact of the dataset's version, with an edge to the dataset."""
    found = await profile(people.body["uri"], name="people")

    assert [each.name for each in found.columns] == ["people.id", "people.age", "people.city", "people.is_late"]
    assert {each.version for each in found.columns} == {people.version}
    assert [(each.source, each.target) for each in found.edges] == [(each.id, people.id) for each in found.columns]


async def test_the_same_bytes_are_the_same_version(people: Artifact, tmp_path: Path) -> None:
    """A copy elsewhere has the same identity; other words for what is missing make another version."""
    copy = tmp_path / "copy.csv"
    shutil.copyfile(people.body["uri"], copy)

    same = await profile(f"file://{copy}", name="people")
    other = await profile(str(copy), name="people", null_values=["", "Oslo"])

    assert people.id == same.dataset.id
    assert people.digest == other.dataset.digest
    assert people.id != other.dataset.id
    assert statistics(other)["city"]["null_count"] == 2


async def test_text_that_reads_na_can_be_kept(tmp_path: Path) -> None:
    """NA means nothing unless the dataset says that it does not."""
    path = tmp_path / "countries.csv"
    path.write_text("code,n\nNA,1\nNO,2\n")

    kept = await profile(str(path), name="countries", null_values=[""])

    assert [{"code": "NA", "n": 1}, {"code": "NO", "n": 2}] == await read_head(kept.dataset)


STRANGE = ['with "quotes"', "with, comma", "with.dot", "with space", "sélect", "SELECT", "名前", "it's", "a;b"]


async def test_columns_may_have_any_name(tmp_path: Path) -> None:
    """Quotes, dots, spaces, keywords and all of Unicode are names like any other."""
    path = tmp_path / "strange.csv"
    header = ",".join('"' + name.replace('"', '""') + '"' for name in STRANGE)
    path.write_text(f"{header}\n{','.join('123456789')}\n")

    found = await profile(str(path), name="strange")

    assert list(types(found.dataset)) == STRANGE
    assert [dict(zip(STRANGE, range(1, 10), strict=True))] == await read_head(found.dataset)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n123456789012345678901234567890\n", "HUGEINT"),
        ("a\n2024-02-29\n2024-03-01\n", "DATE"),
        ("a\n13/02/2024\n14/02/2024\n", "VARCHAR"),
        ("a\n2024-02-29T10:00:00Z\n", "TIMESTAMP WITH TIME ZONE"),
        ("a\ntrue\nfalse\n", "BOOLEAN"),
        ("a\n1\nnan\n", "DOUBLE"),
        ("a\nNA\n\n", "VARCHAR"),
        ("a,b\n" + "1,2\n" * 30_000 + "x,3\n", "VARCHAR"),
    ],
)
async def test_types_hold_for_every_row(tmp_path: Path, text: str, expected: str) -> None:
    """The type of a column is one that all of its values have, however late in the file one differs."""
    path = tmp_path / "typed.csv"
    path.write_text(text)

    found = await profile(str(path), name="typed")

    assert expected == types(found.dataset)["a"]


async def test_statistics_are_plain_json(tmp_path: Path) -> None:
    """NaN and infinity are left out of numbers, columns without values have none, huge integers are text."""
    path = tmp_path / "numbers.csv"
    path.write_text("a,b,c,d\nnan,NA,170141183460469231731687303715884105727,1e308\ninf,,1,-1e308\n2.5,NA,3,1e308\n")

    found = statistics(await profile(str(path), name="numbers"))

    json.dumps(found, allow_nan=False)
    assert (2.5, 2.5, 0) == (found["a"]["min"], found["a"]["mean"], found["a"]["null_count"])
    assert found["b"] == {"null_count": 3, "distinct_count": 0}
    assert found["c"]["max"] == "170141183460469231731687303715884105727"
    assert found["d"]["max"] == 1e308
    assert "std" not in found["d"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "bad.csv is empty"),
        ("   \n", "bad.csv is empty"),
        ("a,b\n", "bad.csv has no rows"),
        ("a,b\n1,2\n3\n", "bad.csv: CSV Error on Line: 3"),
        ("a,b\n1,2\n3,4,5\n", "Expected Number of Columns: 2 Found: 3"),
        ('a,b\n"1,2\n3,4\n', "unterminated quote"),
        ("a,b,a\n1,2,3\n", "'a' and 'a'"),
        ("a,A\n1,2\n", "'a' and 'A'"),
        (",b\n1,2\n", "column 1 has no name"),
    ],
)
async def test_a_bad_csv_is_a_clear_error(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong with a CSV is said in words, with the line where there is one."""
    path = tmp_path / "bad.csv"
    path.write_text(text)

    with pytest.raises(InvalidInput, match=message):
        await profile(str(path), name="bad")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("junk.csv", bytes(range(256)) * 20, "not a CSV file in UTF-8"),
        ("latin.csv", "a,b\ncafé,1\n".encode("latin1"), "not a CSV file in UTF-8"),
        ("late.csv", b"a,b\n" + b"x,1\n" * 300_000 + b"caf\xe9,1\n", "unicode"),
        ("zip.csv", b"PK\x03\x04rest", "zip archive; unpack it"),
        ("table.zip", b"PK\x03\x04rest", "unpack it"),
        ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 1000, mtime=0)[:40], "cannot be read"),
        ("junk.parquet", b"no parquet at all", "junk.parquet"),
        ("empty.parquet", b"", "empty.parquet"),
        ("what.bin", b"a,b\n1,2\n", "say format csv or parquet"),
    ],
)
async def test_a_broken_file_is_a_clear_error(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    """Binary junk, other encodings, archives and what is cut off are refused with a reason."""
    path = tmp_path / name
    path.write_bytes(data)

    with pytest.raises(InvalidInput, match=message):
        await profile(str(path), name="broken")


async def test_parquet_is_read_with_its_own_types(tmp_path: Path) -> None:
    """Parquet brings its types, nested ones too, whose statistics are counts."""
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"n": pa.array([1, None], pa.int32()), "s": [{"a": 1, "n": 2}, {"a": 3, "n": 4}]}), path)

    found = await profile(str(path), name="p")

    assert types(found.dataset) == {"n": "INTEGER", "s": "STRUCT(a BIGINT, n BIGINT)"}
    assert statistics(found)["s"] == {"null_count": 0}


async def test_parquet_without_rows_or_its_end_is_refused(tmp_path: Path) -> None:
    """A Parquet file with no rows, one that is cut off, and one whose names clash are errors."""
    empty, cut, clash = (tmp_path / f"{name}.parquet" for name in ("empty", "cut", "clash"))
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), empty)
    pq.write_table(pa.table({"a": list(range(1000))}), cut)
    cut.write_bytes(cut.read_bytes()[:-100])
    pq.write_table(pa.table({"a": [1], "A": [2]}), clash)

    for path, message in ((empty, "no rows"), (cut, "cut.parquet"), (clash, "'a' and 'A'")):
        with pytest.raises(InvalidInput, match=message):
            await profile(str(path), name="p")


async def test_a_folder_is_one_dataset(tmp_path: Path) -> None:
    """Files of a folder are read together; the digest is that of the listing; a pattern works likewise."""
    for name, text in (("a.csv", "x,y\n1,\n"), ("sub/b.csv", "x,y\n2.5,why\n"), ("_SUCCESS", ""), (".c.csv", "z\n1\n")):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    folder = await profile(str(tmp_path / "folder"), name="folder")
    pattern = await profile(str(tmp_path / "folder" / "**" / "*.csv"), name="pattern")

    files = folder.dataset.body["files"]
    assert [each["path"] for each in files] == ["a.csv", "sub/b.csv"]
    assert folder.dataset.digest == digest_of([[each["path"], each["sha256"]] for each in files])
    assert types(folder.dataset) == {"x": "DOUBLE", "y": "VARCHAR"}
    assert pattern.dataset.digest == folder.dataset.digest
    await verify(folder.dataset)
    await verify(pattern.dataset)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"readme.md": "x"}, "no CSV or Parquet"),
        ({"a.csv": "x,y\n1,2\n", "b.csv": "y,x\n1,2\n"}, "columns of b.csv differ"),
        ({"a.csv": "x\n1\n", "b.parquet": "x"}, "do not go together"),
    ],
)
async def test_a_mixed_folder_is_refused(tmp_path: Path, files: Mapping[str, str], message: str) -> None:
    """A folder without data, with other columns or with both formats is an error."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    with pytest.raises(InvalidInput, match=message):
        await profile(str(tmp_path), name="mixed")


@pytest.mark.parametrize("uri", ["http://host/x.csv", "ftp://host/x.csv", "simplecache::s3://b/x.csv", "s3::x", ""])
async def test_other_addresses_are_refused(uri: str) -> None:
    """Only files and known stores are read; a server can not be made to fetch whatever an address names."""
    with pytest.raises((InvalidInput, NotFound)):
        await profile(uri, name="x")


async def test_a_missing_file_is_named() -> None:
    """A path that is not there is NotFound, with the path."""
    with pytest.raises(NotFound, match=r"nowhere\.csv"):
        await profile("/nowhere.csv", name="x")


async def test_a_remote_dataset_is_fetched_and_verified() -> None:
    """What lies in another store is fetched for each reading, and its digest checked."""
    system = fsspec.filesystem("memory")
    system.pipe("/bucket/part-1.csv", b"a,b\n1,2\n")
    system.pipe("/bucket/part-2.csv", b"a,b\n3,4\n")

    one = await profile("memory://bucket/part-1.csv", name="one")
    both = await profile("memory://bucket/*.csv", name="both")
    assert [{"a": 1, "b": 2}] == await read_head(one.dataset)
    assert [{"a": 1, "b": 2}, {"a": 3, "b": 4}] == await read_head(both.dataset)

    system.pipe("/bucket/part-1.csv", b"a,b\n9,2\n")
    with pytest.raises(DigestMismatch):
        await verify(one.dataset)


def test_secrets_in_addresses_are_not_kept() -> None:
    """User, password and query of an address do not reach the graph."""
    assert locations.without_userinfo("s3://me:secret@bucket/x.csv?token=t") == "s3://bucket/x.csv"


def test_verify_notices_change_and_loss(people: Artifact) -> None:
    """A changed byte is DigestMismatch, a file that is gone NotFound."""
    path = Path(people.body["uri"])
    anyio.run(verify, people)

    path.write_text(path.read_text().replace("Oslo", "Osla"))
    with pytest.raises(DigestMismatch):
        anyio.run(verify, people)
    path.unlink()
    with pytest.raises(NotFound):
        anyio.run(verify, people)


def test_a_dataset_that_moved_is_read_where_it_is(people: Artifact, tmp_path: Path) -> None:
    """The place that was found last is read first; where it is gone or changed, those before it."""
    home = Path(people.body["uri"])
    once, now = tmp_path / "once.csv", tmp_path / "now.csv"
    shutil.copy(home, once)
    shutil.move(home, now)
    moved = replace(people, locations=(str(once), str(now)))

    def lies() -> str:
        with locations.opened(moved) as files:
            return files[0].name

    assert "now.csv" == lies()
    now.write_text("id\n1\n")
    assert "once.csv" == lies()
    once.unlink()
    with pytest.raises(NotFound, match=home.name):
        lies()
    shutil.move(now, home)
    with pytest.raises(DigestMismatch):
        lies()


def test_change_while_reading_is_noticed(people: Artifact) -> None:
    """A file that is written between its check and the end of its reading spoils what was read."""
    with pytest.raises(Conflict, match="while it was read"), locations.opened(people) as files:
        files[0].write_text("id,age\n1,2\n")


async def test_progress_grows_to_one(people: Artifact) -> None:
    """Progress goes from 0 to 1 and never back."""
    heard: list[float] = []
    await profile(people.body["uri"], name="people", progress=lambda done, word: heard.append(done))

    assert sorted(heard) == heard
    assert (0.0, 1.0) == (heard[0], heard[-1])


async def test_a_dataset_known_by_name_alone_is_not_read() -> None:
    """What other systems have only named cannot be read."""
    heard_of = Artifact.defined(ArtifactKind.DATASET, "ghost", {"uri": "s3://b/x.csv"})

    with pytest.raises(InvalidInput, match="register it"):
        await verify(heard_of)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{other}')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/*')",
        "COPY (SELECT 1) TO '{other}.out'",
        "ATTACH '{other}.db'",
        "SET enable_external_access=true",
        "INSTALL httpfs",
    ],
)
def test_a_connection_reads_what_it_is_given(tmp_path: Path, sql: str) -> None:
    """Whatever SQL reaches DuckDB, it reads only the files of the datasets and writes only where it should."""
    given, other = tmp_path / "given.csv", tmp_path / "other.csv"
    for path in (given, other):
        path.write_text("a\n1\n")

    with tables.connect(reads=[given]) as connection:
        assert connection.execute(f"SELECT a FROM read_csv('{given}')").fetchall() == [(1,)]
        with pytest.raises(InvalidInput), tables.mapped("sql"):
            connection.execute(sql.format(other=other))


async def test_cancelling_ends_the_query() -> None:
    """When the caller is cancelled, DuckDB is interrupted, and nothing runs on."""

    def endless() -> None:
        with tables.connect() as connection:
            connection.execute(
                "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range % 7 = b.range"
            )

    with anyio.fail_after(30), anyio.move_on_after(0.3) as scope:
        await tables.in_thread(endless)

    assert scope.cancelled_caught


FILL = """
import resource, signal, sys
from pathlib import Path
import anyio
from lineage.data import tables
from lineage.errors import Unavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
target = Path(sys.argv[1])
def write():
    with tables.connect(writes=target) as connection:
        connection.execute(f"COPY (SELECT random() AS a FROM range(1000000)) TO '{target}/x.parquet'")
try:
    anyio.run(tables.in_thread, write)
except Unavailable as error:
    print(error)
"""


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    """When no more can be written, that is what the error says."""
    done = subprocess.run([sys.executable, "-c", FILL, str(tmp_path)], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("the disk is full"), done.stderr
