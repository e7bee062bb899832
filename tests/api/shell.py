"""The command line against a server of the test's own."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from tests.api.serving import Client
from tests.lineage.test_cli import lineage


class Shell:
    """Runs `lineage …` against the server of *client*."""

    def __init__(self, client: Client, home: Path) -> None:
        self._run = partial(lineage, home=home, LINEAGE_URL=client.url)

    async def says(self, *words: str, code: int = 0) -> str:
        """What the command prints, or complains of where it shall not succeed; it ends with *code*."""
        done = await anyio.to_thread.run_sync(lambda: self._run(*words))
        assert code == done.returncode, done.stderr
        return done.stdout if code == 0 else done.stderr

    async def tells(self, *words: str) -> Any:
        """The JSON that the command prints."""
        return json.loads(await self.says(*words, "--json"))
