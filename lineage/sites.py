"""The site files of a Hadoop cluster, as HADOOP_CONF_DIR has them: properties, and where its services are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from xml.etree import ElementTree

from lineage.errors import InvalidInput

FILES = ("core-site.xml", "hdfs-site.xml", "yarn-site.xml")
VARIABLE = re.compile(r"\$\{([^}]+)\}")
#: The property that names a NameNode's web services, and the port that they have unless it says otherwise.
WEB = {"http": ("dfs.namenode.http-address", 9870), "https": ("dfs.namenode.https-address", 9871)}


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the site files say."""

    properties: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read them; a file that is not there says nothing, one that is not XML is InvalidInput."""
        found: dict[str, str] = {}
        for name in FILES:
            found |= _properties(folder / name)
        return cls(properties=found)

    def get(self, name: str, default: str = "") -> str:
        """A property, with the properties that it names put in their places."""
        text = self.properties.get(name, default)
        for _ in range(20):
            found = VARIABLE.search(text)
            if found is None:
                break
            text = text.replace(found[0], self.properties.get(found[1], ""))
        return text

    def names(self, name: str) -> list[str]:
        """A property that is a list."""
        return [each.strip() for each in self.get(name).split(",") if each.strip()]

    def namenodes(self, place: str) -> Sequence[str]:
        """The web addresses of the NameNodes behind an hdfs:// address; several where one stands by.

        Args:
            place: what stands between hdfs:// and the path: a host with or without a port, or a nameservice.
        """
        host = place.partition(":")[0]
        scheme = "https" if self.get("dfs.http.policy") == "HTTPS_ONLY" else "http"
        key, port = WEB[scheme]
        ids = self.names(f"dfs.ha.namenodes.{host}") if host in self.names("dfs.nameservices") else []
        if ids:
            hosts = {each: self.get(f"dfs.namenode.rpc-address.{host}.{each}").partition(":")[0] for each in ids}
            found = {each: self.get(f"{key}.{host}.{each}") or f"{hosts[each]}:{port}" for each in ids}
            return [f"{scheme}://{found[each]}" for each in ids]
        given_host, _, given_port = self.get(key).rpartition(":")
        is_ours = self._is_default(place) and given_port.isdigit()
        if is_ours and given_host not in {"", "0.0.0.0"}:
            return [f"{scheme}://{given_host}:{given_port}"]
        return [f"{scheme}://{host}:{given_port if is_ours else port}"]

    def _is_default(self, place: str) -> bool:
        """Whether *place* is that of the file system which these files are about."""
        address = self.get("fs.defaultFS").partition("://")[2].partition("/")[0]
        known = {address, self.get("dfs.namenode.rpc-address")}
        return place in (known if ":" in place else {each.partition(":")[0] for each in known})


def _properties(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InvalidInput(f"{path.name} of HADOOP_CONF_DIR is not XML: {error}", field="HADOOP_CONF_DIR") from error
    pairs = ((each.findtext("name"), each.findtext("value")) for each in root.iter("property"))
    return {name.strip(): (value or "").strip() for name, value in pairs if name}
