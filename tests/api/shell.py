"""The command line against a server of the test's own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from tests.api.serving import Client
from tests.lineage.test_cli import lineage

#: Runs many commands in one process, since starting one for each takes most of the time; tells exit code and output.
MANY = """import contextlib, io, json, sys
from lineage.cli import cycle, discovery, schedules, serving
from lineage.cli.app import run
told = []
for words in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        code = run(words)
    told.append([code, out.getvalue()])
print(json.dumps(told))"""


class Shell:
    """Runs `lineage …` against the server of *client*."""

    def __init__(self, client: Client, home: Path) -> None:
        self._environ = {"LINEAGE_HOME": str(home), "LINEAGE_URL": client.url, "COLUMNS": "250"}
        self._run = partial(lineage, home=home, LINEAGE_URL=client.url)

    async def says(self, *words: str, code: int = 0) -> str:
        """What the command prints, or complains of where it shall not succeed; it ends with *code*."""
        done = await anyio.to_thread.run_sync(lambda: self._run(*words))
        assert code == done.returncode, done.stderr
        return done.stdout if code == 0 else done.stderr

    async def tells(self, *words: str) -> Any:
        """The JSON that the command prints."""
        return json.loads(await self.says(*words, "--json"))

    async def each(self, *commands: Sequence[str]) -> list[tuple[int, str]]:
        """The exit code and the output of each command, of errors too."""
        done = await anyio.to_thread.run_sync(lambda: self._many(commands))
        assert 0 == done.returncode, done.stderr
        return [(code, out) for code, out in json.loads(done.stdout)]

    def _many(self, commands: Sequence[Sequence[str]]) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LINEAGE_")}
        return subprocess.run(
            [sys.executable, "-c", MANY],
            input=json.dumps([list(words) for words in commands]),
            env={**kept, **self._environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
