"""The executor `spark_yarn`: an archive per Environment, and an application of Spark on YARN for each workspace."""

from executors.spark_yarn.executor import SparkYarnExecutor

__all__ = ["SparkYarnExecutor"]
