"""Packages of conda: solved to an explicit lock of addresses and hashes, and installed from one."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from executors.base import Log
from executors.uv import NETWORK, redacted, run_tool
from lineage.errors import ExecutionFailed
from lineage.settings import Settings

HEADER = "@EXPLICIT"
LOCKED = re.compile(r"(?P<url>[a-z]+://\S+)#(?P<sha256>[0-9a-f]{64})")
#: What a channel says of what it does not have, in whatever words of the network.
ABSENT = re.compile(r"(?i)hash mismatch|no such file|\b404\b|could not find subdir")


def divided(lock: str) -> tuple[Sequence[Mapping[str, str]], str]:
    """The two parts of a lock: packages of conda, as url and sha256, and requirements of pip."""
    lines = lock.splitlines(keepends=True)
    found = [LOCKED.fullmatch(line.strip()) for line in lines]
    rest = [line for line, match in zip(lines, found, strict=True) if not match and line.strip() != HEADER]
    return [match.groupdict() for match in found if match], "".join(rest)


def explicit(packages: Sequence[Mapping[str, str]]) -> str:
    """The explicit lock of *packages*."""
    return "".join(f"{line}\n" for line in [HEADER, *sorted(f"{each['url']}#{each['sha256']}" for each in packages)])


def brings_python(locked: Sequence[Mapping[str, str]]) -> bool:
    """Whether a Python is among the *locked* packages, which is then that of the environment."""
    return any(each["url"].rpartition("/")[2].rsplit("-", 2)[0] == "python" for each in locked)


async def solve(
    channels: Sequence[str], packages: Sequence[str], *, version: str | None, settings: Settings, log: Log
) -> Sequence[Mapping[str, str]]:
    """What *packages* of *channels* come to, with all that they need: name, version, build, url and sha256 of each.

    A Python among them is of *version*, where one is given.

    Raises:
        ExecutionFailed: RESOLUTION with the solver's own words, UNAVAILABLE when a channel does not answer.
    """
    constraints = [f"python {version}.*" if version.count(".") == 1 else f"python =={version}"] if version else []
    asked = {"channels": list(channels), "packages": list(packages), "constraints": constraints}
    answer: Sequence[Mapping[str, str]] = await _ask("solve", asked, settings=settings, log=log)
    await log("".join(f"{each['name']} {each['version']} {each['build']}\n" for each in answer))
    return answer


async def install(
    locked: Sequence[Mapping[str, str]], root: Path, *, settings: Settings, log: Log, prefix: str | None = None
) -> None:
    """Install *locked* packages into the folder *root*; files that hold their own place hold *prefix* where given.

    Raises:
        ExecutionFailed: ENVIRONMENT when bytes are not those that were locked, UNAVAILABLE when a channel is away.
    """
    asked = {"locked": list(locked), "root": str(root), "prefix": prefix}
    await log(f"{len(locked)} packages of conda\n")
    await _ask("install", asked, settings=settings, log=log)


async def _ask(verb: str, asked: Mapping[str, Any], *, settings: Settings, log: Log) -> Any:
    if find_spec("rattler") is None:
        message = "packages of conda need py-rattler on the worker: pip install 'lineage-graph[conda]'"
        raise ExecutionFailed(message, reason="ENVIRONMENT")
    cache = settings.cache / "conda"
    cache.mkdir(parents=True, exist_ok=True)
    given = json.dumps({verb: {**asked, "cache": str(cache)}}).encode()
    command = [sys.executable, "-m", "executors.channels"]
    code, text, said = await run_tool(command, settings=settings, cwd=cache, log=log, given=given)
    if code:
        raise ExecutionFailed(f"rattler ended with {code}: {redacted(said)}", reason="ENVIRONMENT", log_tail=said)
    answer = json.loads(text)
    if "error" in answer:
        raise _failure(verb, answer["error"])
    return answer["packages"]


def _failure(verb: str, error: Mapping[str, str]) -> ExecutionFailed:
    words = redacted(error["message"]).strip()
    if error["reason"] == "RESOLUTION":
        return ExecutionFailed(words, reason="RESOLUTION", log_tail=words)
    if NETWORK.search(words) and not ABSENT.search(words):
        return ExecutionFailed(f"the channel does not answer: {words}", reason="UNAVAILABLE", log_tail=words)
    return ExecutionFailed(words, reason="RESOLUTION" if verb == "solve" else "ENVIRONMENT", log_tail=words)
