"""How a slot ends: each way has a word for machines, an exit code, and a line for people."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

MESSAGE_LIMIT = 2000  # characters of a message that go into the graph
HERE = Path(__file__).resolve().parent
OURS = (f"{HERE}{os.sep}", str(HERE.parent / "trial.py"))

DONE = "DONE"


class End(Exception):
    """The slot ends for a reason that has a name."""

    reason = "ERROR"
    code = 70


class InvalidJob(End):
    """The job cannot be done as it stands: a name, a file or a column that it gives is not there."""

    reason = "INVALID_INPUT"
    code = 64


class UserCode(End):
    """The model's own code raised; the message is the end of its traceback."""

    reason = "USER_CODE"
    code = 65


class Lacking(End):
    """The environment lacks a package."""

    reason = "ENVIRONMENT"
    code = 66


class OutOfMemory(End):
    """The work needs more memory than it may have."""

    reason = "OOM"
    code = 67


class TooManyProcesses(End):
    """The work starts more processes or threads than it may."""

    reason = "PROCESSES"
    code = 68


class Refused(End):
    """The API understood and said no."""


class Silent(End):
    """The API did not answer for as long as patience lasted."""

    reason = "UNAVAILABLE"
    code = 69


class Canceled(BaseException):
    """The work was asked to stop. Not an Exception, so that model code does not swallow it by accident."""

    reason = "CANCELED"
    code = 75


class Terminated(BaseException):
    """A signal asked the process to stop; who sent it, and why, only others know."""

    reason = "TERMINATED"
    code = 75


class Stale(BaseException):
    """The run was started anew elsewhere or is over; what this slot makes is no longer wanted."""

    reason = "STALE_GENERATION"
    code = 76


def need(module: str, package: str | None = None) -> Any:
    """Import *module*; raise Lacking, which names the *package* that the environment should list or have otherwise."""
    name = package or module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise Lacking(f"the environment lacks {error.name!r}, which its {name!r} needs") from error
        raise Lacking(f"the environment lacks {name!r}, which this job needs: add it to its packages") from error
    except ImportError as error:
        raise Lacking(f"the environment's {name!r} cannot be imported: {error}") from error


def of_user_code(error: BaseException) -> End:
    """The verdict on what the model's own code raised."""
    if isinstance(error, End):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory(f"out of memory: {last_lines(error)}")
    if _is_refused_fork(error):
        return TooManyProcesses(f"no more processes or threads may be started: {last_lines(error)}")
    if isinstance(error, SystemExit):
        return UserCode(f"the code called sys.exit({error.code!r}): {last_lines(error)}")
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.partition(".")[0]
        return Lacking(f"the code imports {name!r}, which the environment lacks: {last_lines(error)}")
    return UserCode(last_lines(error))


def _is_refused_fork(error: BaseException) -> bool:
    """Whether the kernel held back a new process or thread, as it does for a limit of an ordinary user."""
    if isinstance(error, BlockingIOError):
        return error.errno == errno.EAGAIN
    return isinstance(error, RuntimeError) and str(error) == "can't start new thread"


def last_lines(error: BaseException) -> str:
    """The end of the traceback of *error*, from the first frame that is not ours."""
    frames = error.__traceback__
    text = "".join(traceback.format_exception(type(error), error, _theirs(frames))).strip()
    return text if len(text) <= MESSAGE_LIMIT else f"…{text[-MESSAGE_LIMIT:]}"


def _theirs(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_next is not None:
        name = frames.tb_frame.f_code.co_filename
        if not name.startswith("<frozen") and not os.path.realpath(name).startswith(OURS):
            return frames
        frames = frames.tb_next
    return frames


def write(root: Path, slot: str, reason: str, message: str | None) -> None:
    """Leave the verdict of *slot* where the executor looks for it."""
    write_json(root / "slots" / f"{slot}.verdict.json", {"reason": reason, "message": message})


def write_json(path: Path, value: Any) -> None:
    """Write *value* so that the file is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
    with fresh.open("w") as stream:
        json.dump(value, stream, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(fresh, path)


def leave(code: int) -> None:
    """End the process now, whatever threads and exit handlers the model's code has left behind."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
