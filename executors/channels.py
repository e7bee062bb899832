"""Channels of conda, by rattler, as a process of its own: it reads one request from standard input, as JSON.

`{"solve": {channels, packages, constraints, cache}}` is answered with the packages, each with its address and hash;
`{"install": {locked, root, prefix, cache}}` puts locked packages into *root*, for files that will lie in *prefix*.
What goes wrong is answered as `{"error": {reason, message}}`.
"""

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import rattler
from rattler import exceptions
from rattler.package_streaming import fetch_raw_package_file_from_url

#: What rattler raises for what was asked for, and not for who answers.
ASKED = (
    exceptions.SolverError,
    exceptions.InvalidMatchSpecError,
    exceptions.InvalidChannelError,
    exceptions.InvalidUrlError,
    exceptions.InvalidVersionSpecError,
)
SYSTEM_CERTIFICATES = 'tls-root-certs = "system"'


def _client() -> rattler.Client:
    return rattler.Client.from_config(rattler.Config.from_toml(SYSTEM_CERTIFICATES))


async def solve(asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The packages, with all that they need, that fit together on this machine, sorted by name."""
    here = rattler.Subdir.current()
    records = await rattler.solve(
        asked["channels"],
        asked["packages"],
        gateway=rattler.Gateway(cache_dir=Path(asked["cache"]) / "repodata", client=_client()),
        platforms=[here, rattler.Subdir("noarch")],
        virtual_packages=rattler.VirtualPackage.detect(),
        constraints=asked["constraints"],
    )
    return [_shown(each) for each in sorted(records, key=lambda each: each.name.normalized)]


def _shown(record: rattler.RepoDataRecord) -> Mapping[str, Any]:
    if record.sha256 is None:
        raise LookupError(f"the channel gives no sha256 for {record.url}, so it cannot be locked")
    return {
        "name": record.name.normalized,
        "version": str(record.version),
        "build": str(record.build),
        "url": record.url,
        "sha256": record.sha256.hex(),
    }


async def install(asked: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Install what is locked; every archive is checked against its hash first."""
    client, cache = _client(), Path(asked["cache"]) / "packages"
    cache.mkdir(parents=True, exist_ok=True)
    records = [await _record(client, each["url"], each["sha256"]) for each in asked["locked"]]
    await rattler.install(
        records,
        asked["root"],
        cache_dir=cache,
        alternative_target_prefix=asked["prefix"],
        client=client,
        execute_link_scripts=False,
        show_progress=False,
    )
    return []


async def _record(client: rattler.Client, url: str, sha256: str) -> rattler.RepoDataRecord:
    parts = urlsplit(url)
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
        found = _sha256(path)
        if found != sha256:
            raise LookupError(f"hash mismatch for {url}: locked {sha256}, found {found}")
        return await rattler.RepoDataRecord.from_package_archive(path)
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index.json"
        index.write_bytes(await fetch_raw_package_file_from_url(client, url, "info/index.json"))
        record = rattler.PackageRecord.from_index_json(index)
    record.sha256 = bytes.fromhex(sha256)  # the installer holds what it downloads against it
    return rattler.RepoDataRecord(record, parts.path.rpartition("/")[2], url, url.rsplit("/", 2)[0])


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


async def answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the one request comes to."""
    try:
        if "solve" in request:
            return {"packages": await solve(request["solve"])}
        return {"packages": await install(request["install"])}
    except ASKED as error:
        return {"error": {"reason": "RESOLUTION", "message": str(error)}}
    except (exceptions.GatewayError, exceptions.InstallerError, exceptions.IoError) as error:
        return {"error": {"reason": "ENVIRONMENT", "message": str(error)}}
    except (LookupError, OSError, RuntimeError) as error:
        return {"error": {"reason": "ENVIRONMENT", "message": str(error)}}


if __name__ == "__main__":
    json.dump(asyncio.run(answer(json.load(sys.stdin))), sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # threads of rattler that still run may crash an interpreter that is taken down around them
