"""The command `lineage`."""

import sys

__all__ = ["main"]


def main() -> int:
    """Do what the command line says and return the exit code: 0, 1 for an error, 2 for wrong usage."""
    # These add their commands; typer is imported only when the command runs.
    from lineage.cli import (  # noqa: F401
        cycle,
        discovery,
        intake,
        notebooks,
        plans,
        promotions,
        schedules,
        serving,
        triggers,
        watch,
        webhooks,
    )
    from lineage.cli.app import run

    return run(sys.argv[1:])
