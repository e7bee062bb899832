"""The command `lineage`."""

import sys

__all__ = ["main"]


def main() -> int:
    """Do what the command line says and return the exit code: 0, 1 for an error, 2 for wrong usage."""
    from lineage.cli.app import run  # typer is imported only when the command runs

    return run(sys.argv[1:])
