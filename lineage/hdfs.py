"""HDFS over WebHDFS, by fsspec's client: the NameNode of an hdfs:// address found, and no failure taken for an answer.

fsspec's own client is asked by web addresses, stays silent where a rename was refused, takes the error page of a
DataNode for data and a NameNode that is away for a file that is not there. All that is mended here.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from fsspec.implementations.webhdfs import WebHDFile, WebHDFS

from lineage.settings import Settings
from lineage.sites import Site

TIMEOUTS = (10.0, 120.0)  # seconds to connect, and of silence
BLOCK = 32 * 1024 * 1024  # bytes of a file that are sent at once
STANDBY = "StandbyException"


class Hdfs(WebHDFS):  # type: ignore[misc]
    """The file system behind hdfs:// addresses; several NameNodes are asked until the active one answers."""

    protocol = "hdfs"
    cachable = False  # settings and site files may change

    def __init__(self, host: str = "", port: int | None = None, user: str | None = None, **given: Any) -> None:
        settings = Settings.from_environ()
        site = Site.read(Path(settings.hadoop_conf_dir)) if settings.hadoop_conf_dir else Site(properties={})
        named = f"{host}:{port}" if host and port else host or urlsplit(site.get("fs.defaultFS")).netloc
        if not named:
            raise ValueError("an address such as hdfs:///path needs fs.defaultFS in the site files of HADOOP_CONF_DIR")
        self._web = settings.hdfs_web.rstrip("/").split(",") if settings.hdfs_web else site.namenodes(named)
        first = urlsplit(self._web[0])
        is_secure = site.get("hadoop.security.authentication") == "kerberos"
        super().__init__(
            first.hostname,
            first.port,
            kerberos=is_secure,
            user=None if is_secure else user or os.environ.get("HADOOP_USER_NAME") or settings.user,
            use_https=first.scheme == "https",
            session_verify=settings.ca_bundle or True,
            **given,
        )

    def _connect(self) -> None:
        super()._connect()
        self.session: Any = _Patient(vars(self)["session"])

    def _call(self, op: str, method: str = "get", path: str | None = None, **given: Any) -> Any:
        problems: list[str] = []
        for web in list(self._web):
            self.url = f"{web}/webhdfs/v1"
            try:
                answer = super()._call(op, method=method, path=path, **given)
            except requests.ConnectionError as error:
                problems.append(f"{web} does not answer ({type(error).__name__})")
            except RuntimeError as error:
                if STANDBY not in str(error) and "standby" not in str(error):
                    raise OSError(_first(error)) from error
                problems.append(f"{web} stands by")
            except PermissionError as error:
                raise PermissionError(_first(error)) from error
            except ValueError as error:
                raise OSError(_first(error)) from error
            else:
                self._web = [web, *(each for each in self._web if each != web)]
                return answer
        raise ConnectionError(
            f"no NameNode answers: {'; '.join(problems)}; is LINEAGE_HDFS_WEB or HADOOP_CONF_DIR right?"
        )

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **given: Any) -> Any:
        given.pop("autocommit", None)
        given.pop("cache_options", None)
        return HdfsFile(self, path, mode=mode, block_size=block_size or BLOCK, tempdir="", autocommit=True)

    def exists(self, path: str, **given: Any) -> bool:
        """Whether something is there; a NameNode that does not answer has not said no."""
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def isdir(self, path: str) -> bool:
        """Whether it is a folder."""
        try:
            return bool(self.info(path)["type"] == "directory")
        except FileNotFoundError:
            return False

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **_: Any
    ) -> Any:
        """All files below *path*; a folder that cannot be read is an error, and not one without files."""
        found: dict[str, Any] = {}

        def look(folder: str, depth: int) -> None:
            for each in self.ls(folder, detail=True):
                is_folder = each["type"] == "directory"
                if withdirs or not is_folder:
                    found[each["name"].rstrip("/")] = each
                if is_folder and (maxdepth is None or depth < maxdepth):
                    look(each["name"], depth + 1)

        path = self._strip_protocol(path)
        look(path, 1)
        return dict(sorted(found.items())) if detail else sorted(found)

    def mv(self, path1: str, path2: str, **given: Any) -> None:
        """Give a file another name, in the place of what has it."""
        self._call("RENAME", method="put", path=path1, destination=path2, renameoptions="OVERWRITE")


class HdfsFile(WebHDFile):  # type: ignore[misc]
    """A file that is written by as few requests as it has blocks, and read with the words of the DataNode checked."""

    def _initiate_upload(self) -> None:
        self.location = None

    def _upload_chunk(self, final: bool = False) -> bool:
        data = self.buffer.getvalue()
        if self.location is not None and not data:
            return True
        op, method, given = ("APPEND", "post", {}) if self.location else ("CREATE", "put", {"overwrite": "true"})
        answer = self.fs._call(op, method=method, path=self.path, redirect=False, **given)
        self.location = self.fs._apply_proxy(answer.headers["Location"])
        headers = {"content-type": "application/octet-stream"}
        _checked(self.fs.session.request(method, self.location, data=data, headers=headers))
        return True

    def _fetch_range(self, start: int, end: int) -> bytes:
        start, end = max(start, 0), min(self.size, end)
        if start >= end:
            return b""
        answer = self.fs._call("OPEN", path=self.path, offset=start, length=end - start, redirect=False)
        if "Location" in answer.headers:
            answer = _checked(self.fs.session.get(self.fs._apply_proxy(answer.headers["Location"])))
        data: bytes = answer.content
        if len(data) != end - start:
            raise OSError(f"{self.path} ended after {len(data)} bytes of {end - start} that were asked for")
        return data


class _Patient:
    """A session of requests whose every request has a time limit."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def request(self, method: str, url: str, **given: Any) -> Any:
        return self._session.request(method, url, timeout=TIMEOUTS, **given)

    def get(self, url: str, **given: Any) -> Any:
        return self.request("GET", url, **given)


def _checked(answer: Any) -> Any:
    """The answer of a DataNode; raise OSError with its own words where it has refused."""
    if answer.ok:
        return answer
    try:
        said = str(answer.json()["RemoteException"]["message"])
    except (ValueError, KeyError, TypeError):
        said = f"{answer.status_code} {answer.reason}"
    raise OSError(_first(said))


def _first(error: Any) -> str:
    """The first line of a message of Hadoop's, which goes on with where it happened."""
    return (str(error).splitlines() or [""])[0]
