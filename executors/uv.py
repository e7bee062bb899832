"""uv as a child process: which one, with which variables, what it says, and what its failures mean."""

import hashlib
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
from anyio.abc import ByteReceiveStream, Process
from anyio.streams.text import TextReceiveStream
from uv import find_uv_bin

from executors import pip
from executors.base import Log
from lineage.errors import ExecutionFailed, InvalidInput
from lineage.settings import Settings

#: What passes to uv: where the index is and how to reach it, and nothing else that this process knows.
PASSED = re.compile(
    r"(?i:https?_proxy|all_proxy|no_proxy)|SSL_CERT_(FILE|DIR)|SSL_CLIENT_CERT|NETRC|HOME|PATH|XDG_CONFIG_\w+|TMPDIR|LANG"
    r"|UV_(DEFAULT_INDEX|INDEX\w*|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|KEYRING_PROVIDER"
    r"|OFFLINE|HTTP_TIMEOUT|HTTP_RETRIES|HTTP_PROXY|HTTPS_PROXY|NO_PROXY|CONFIG_FILE|LINK_MODE|EXCLUDE_NEWER|PYTHON_INSTALL_DIR)"
)
#: pip's settings that mean the same, from its variables and its files, where uv's own are not set.
OF_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
    "PIP_NO_INDEX": "UV_NO_INDEX",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_CLIENT_CERT": "SSL_CLIENT_CERT",
    "PIP_PROXY": "ALL_PROXY",
}
USERINFO = re.compile(r"//[^/@\s]+@")
ADDRESS = re.compile(r"https?://\S+")
#: What uv says when the index, and not the request, is at fault.
NETWORK = re.compile(
    r"(?i)error sending request|failed to fetch|could not connect|connection (refused|reset|closed)|dns error"
    r"|timed? ?out|network (was|is) (disabled|unreachable)|\b50[0234]\b|tls|certificate|incomplete download"
)
UNSATISFIABLE = re.compile(r"(?i)no solution found|unsatisfiable|hash mismatch|not found in the package registry")


def variables(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """The environment variables that uv is given, out of *environ*."""
    found = {name: text for name, text in environ.items() if PASSED.fullmatch(name)}
    of_pip = pip.configured(environ) if not _has_own_file(environ) else environ
    for theirs, ours in OF_PIP.items():
        if of_pip.get(theirs) and ours not in found and not (ours == "UV_DEFAULT_INDEX" and "UV_INDEX_URL" in found):
            found[ours] = of_pip[theirs]
    if settings.index_url:
        found.pop("UV_INDEX_URL", None)
        found["UV_DEFAULT_INDEX"] = settings.index_url
    if settings.proxy:
        found |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), settings.proxy)
    if settings.ca_bundle:
        found["SSL_CERT_FILE"] = str(authorities(settings, found.get("SSL_CERT_FILE")))
    return {
        "UV_SYSTEM_CERTS": "true",
        **found,
        "UV_CACHE_DIR": str(settings.cache / "uv"),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
    }


def _has_own_file(environ: Mapping[str, str]) -> bool:
    """Whether uv is configured in a file of its own: then pip's files have no say."""
    folder = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "/") / ".config")
    return bool(environ.get("UV_CONFIG_FILE")) or any(
        path.is_file() for path in (folder / "uv" / "uv.toml", Path("/etc/uv/uv.toml"))
    )


def authorities(settings: Settings, known: str | None = None) -> Path:
    """A PEM file of the system's certificate authorities, or those of the file *known*, and the settings' own."""
    given = Path(settings.ca_bundle)
    system = known or os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    try:
        parts = [given.read_bytes()] + ([Path(system).read_bytes()] if system else [])
    except OSError as error:
        raise InvalidInput(f"LINEAGE_CA_BUNDLE: the authorities cannot be read: {error}", field="ca_bundle") from error
    data = b"\n".join(parts)
    target = settings.cache / f"authorities-{hashlib.sha256(data).hexdigest()[:12]}.pem"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f"{target.name}.{os.getpid()}")
        fresh.write_bytes(data)
        os.replace(fresh, target)
    return target


def redacted(text: str) -> str:
    """*text* without the user names and passwords of addresses."""
    return USERINFO.sub("//***@", text)


async def run_uv(
    arguments: Sequence[str], *, settings: Settings, cwd: Path, log: Log, given: bytes = b""
) -> tuple[int, str, str]:
    """Run uv; see `run_tool`."""
    return await run_tool([find_uv_bin(), *arguments], settings=settings, cwd=cwd, log=log, given=given)


async def run_tool(
    command: Sequence[str], *, settings: Settings, cwd: Path, log: Log, given: bytes = b""
) -> tuple[int, str, str]:
    """Run *command* and return its exit code, its output, and what it said; each line of that goes to *log*."""
    process = await anyio.open_process(
        command,
        cwd=cwd,
        env=variables(os.environ, settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    said: list[str] = []
    output: list[str] = []
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_feed, process, given)
            tasks.start_soon(_lines, process.stderr, said, log)
            tasks.start_soon(_lines, process.stdout, output, None)
        code = await process.wait()
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()
    return code, "".join(output), "".join(said)


async def _feed(process: Process, given: bytes) -> None:
    assert process.stdin is not None
    try:
        await process.stdin.send(given)
        await process.stdin.aclose()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # it ended without reading; its exit code tells why


async def _lines(stream: ByteReceiveStream | None, into: list[str], log: Log | None) -> None:
    assert stream is not None
    rest = ""
    async for piece in TextReceiveStream(stream, errors="replace"):
        into.append(piece)
        *lines, rest = (rest + piece).split("\n")
        if log is not None and lines:
            await log("".join(f"{redacted(line)}\n" for line in lines))
    if log is not None and rest:
        await log(f"{redacted(rest)}\n")


def failure(said: str, *, reason: str) -> ExecutionFailed:
    """The error that uv's words *said* mean: *reason*, or UNAVAILABLE when only the index did not answer."""
    words = ADDRESS.sub(lambda found: redacted(found[0]), said).strip()
    if NETWORK.search(said) and not UNSATISFIABLE.search(said):
        return ExecutionFailed(f"the package index does not answer: {words}", reason="UNAVAILABLE", log_tail=words)
    return ExecutionFailed(words or "uv failed without a word", reason=reason, log_tail=words)


async def find_python(version: str | None, settings: Settings) -> tuple[Path, str]:
    """An interpreter of this machine for *version* ("3.11"; this one's by default), and the version in full form.

    Raises:
        InvalidInput: there is none; the message lists those that there are. None is ever downloaded.
    """
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = version or own
    if not re.fullmatch(r"3\.\d+(\.\d+)?", wanted):
        raise InvalidInput(f"{wanted!r} is no version of Python; write it as '3.11'", field="version")
    if wanted in (own, f"{own}.{sys.version_info.micro}"):
        return Path(sys.executable), wanted
    code, text, _ = await _ask(["python", "find", "--no-project", "--system", wanted], settings)
    if code == 0 and text.strip():
        return Path(text.strip()), wanted
    listing = (await _ask(["python", "list", "--only-installed"], settings))[1]
    found = sorted({match[1] for match in re.finditer(r"^\w+-(\d+\.\d+\.\d+)", listing, re.MULTILINE)} | {own})
    raise InvalidInput(f"there is no Python {wanted} on this machine; there is: {', '.join(found)}", field="version")


async def _ask(arguments: Sequence[str], settings: Settings) -> tuple[int, str, str]:
    async def quiet(text: str) -> None:
        """Nobody wants to hear which broken interpreters lie about."""

    return await run_uv(arguments, settings=settings, cwd=Path.cwd(), log=quiet)
