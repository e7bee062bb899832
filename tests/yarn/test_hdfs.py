"""HDFS as a place for artifacts and datasets: a real NameNode and DataNode, asked over WebHDFS."""

import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lineage.data import datasets
from lineage.errors import DigestMismatch, NotFound, Unavailable
from lineage.files import Files
from lineage.hdfs import BLOCK
from lineage.sites import Site
from tests.yarn.cluster import Cluster

pytestmark = [pytest.mark.yarn, pytest.mark.anyio]
AWAY = "hdfs://127.0.0.1:9/lineage"  # where nothing listens


@pytest.fixture
def folder(cluster: Cluster, tmp_path: Path) -> str:
    """The address of a folder of the test's own, which is not there yet."""
    return f"{cluster.hdfs}/tests/{tmp_path.name} of {os.getpid()}"


def put(address: str, data: bytes) -> None:
    """Write a file there."""
    system, path = fsspec.core.url_to_fs(address)
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    system.pipe_file(path, data)


async def test_artifacts_are_kept(folder: str) -> None:
    """Bytes of any size come back whole, once each, and nothing else is left in the store."""
    files = Files(folder)
    datas = [b"", b"x", os.urandom(BLOCK), os.urandom(2 * BLOCK + 7)]

    kept = [await files.put_bytes(data) for data in [*datas, *datas]]

    assert kept[:4] == kept[4:]
    for data, stored in zip(datas, kept, strict=False):
        assert data == await files.read(stored.sha256, limit=3 * BLOCK)
        await files.verify(stored.sha256)
    system, path = fsspec.core.url_to_fs(folder)
    assert sorted(stored.sha256 for stored in kept[:4]) == sorted(each.rpartition("/")[2] for each in system.find(path))


async def test_what_was_damaged_is_told_and_healed(folder: str) -> None:
    """Changed bytes are a DigestMismatch, and putting the right ones again replaces them."""
    files = Files(folder)
    kept = await files.put_bytes(b"right")
    put(f"{folder}/{kept.sha256[:2]}/{kept.sha256}", b"wrong")
    with pytest.raises(DigestMismatch):
        await files.verify(kept.sha256)

    await files.put_bytes(b"right")

    assert b"right" == await files.read(kept.sha256)
    with pytest.raises(NotFound):
        await files.read("0" * 64)
    assert not await files.exists("0" * 64)


async def test_a_namenode_that_is_away(cluster: Cluster) -> None:
    """Without the NameNode everything is Unavailable with what to look at, and nothing is taken for missing."""
    files = Files(AWAY)

    with pytest.raises(Unavailable, match="no NameNode answers"):
        await files.exists("0" * 64)
    with pytest.raises(Unavailable, match="LINEAGE_HDFS_WEB"):
        await files.put_bytes(b"x")
    with pytest.raises(Unavailable, match="no NameNode answers"):
        await datasets.profile(f"{AWAY}/rows.csv", name="rows")


async def test_datasets_are_registered(folder: str, tmp_path: Path) -> None:
    """CSV and Parquet in HDFS have schema, statistics and digest, and are held against it when they are read."""
    put(f"{folder}/rows.csv", b"id,name\n1,a\n2,b\n")
    pq.write_table(pa.table({"id": [1, 2, 3]}), tmp_path / "part.parquet")
    for name in ("parts/0.parquet", "parts/1.parquet", "parts/_temporary/2.parquet", "parts/_SUCCESS"):
        put(f"{folder}/{name}", (tmp_path / "part.parquet").read_bytes())

    rows = (await datasets.profile(f"{folder}/rows.csv", name="rows")).dataset
    parts = (await datasets.profile(f"{folder}/parts", name="parts")).dataset

    assert (2, 6) == (rows.body["row_count"], parts.body["row_count"])
    assert ["0.parquet", "1.parquet"] == [each["path"] for each in parts.body["files"]]
    assert {"id": 1, "name": "a"} == (await datasets.read_head(rows, 1))[0]
    put(f"{folder}/rows.csv", b"id,name\n1,a\n2,c\n")
    with pytest.raises(DigestMismatch):
        await datasets.verify(rows)
    with pytest.raises(NotFound, match="nothing at"):
        await datasets.profile(f"{folder}/nothing.csv", name="nothing")


def test_where_the_namenodes_are() -> None:
    """Site files name the web services, also of both NameNodes of a nameservice and over TLS; else it is the port."""
    one = {"fs.defaultFS": "hdfs://master:9000", "dfs.namenode.http-address": "0.0.0.0:50070"}
    pair = {
        "dfs.nameservices": "ns",
        "dfs.ha.namenodes.ns": "a, b",
        "dfs.namenode.http-address.ns.a": "one:1",
        "dfs.namenode.rpc-address.ns.b": "two:8020",
    }

    assert ["http://master:50070"] == Site(properties=one).namenodes("master:9000")
    assert ["http://master:9870"] == Site(properties=one).namenodes("master:9001")
    assert ["http://elsewhere:9870"] == Site(properties=one).namenodes("elsewhere")
    assert ["http://one:1", "http://two:9870"] == Site(properties=pair).namenodes("ns")
    assert ["https://h:9871"] == Site(properties={"dfs.http.policy": "HTTPS_ONLY"}).namenodes("h")


def test_a_package_that_is_missing_is_named() -> None:
    """Without its package, HDFS says which extra brings it, for artifacts and for datasets."""
    script = """
import sys
sys.modules["requests"] = None
import anyio
from lineage.data import datasets
from lineage.errors import InvalidInput
from lineage.files import Files
for each in (lambda: Files("hdfs://h/x"), lambda: anyio.run(lambda: datasets.profile("hdfs://h/x.csv", name="x"))):
    try:
        each()
    except InvalidInput as error:
        print(error)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert 2 == said.count("pip install 'lineage-graph[hdfs]'"), said
