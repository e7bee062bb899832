"""The SQL of features as Spark says it, value for value; what has no equal there is refused by name."""

from lineage.data.spark.batch import Chosen, chosen
from lineage.data.spark.counting import FILE, Counting, counting
from lineage.data.spark.training import Wanted, wanted
from lineage.data.spark.translator import select

__all__ = ["FILE", "Chosen", "Counting", "Wanted", "chosen", "counting", "select", "wanted"]
