"""Whole systems on a machine with a Docker daemon find it as the tests of containers do."""

from tests.executors.containers.conftest import base_image, engine, shared, tabular

__all__ = ["base_image", "engine", "shared", "tabular"]
