"""The model code that the demo registers: will a flight be more than 15 minutes late, seen as its doors close?"""

from typing import Any

from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

NAMES = ["airline", "origin"]


def build(params: dict[str, Any]) -> Pipeline:
    """A pipeline of boosted trees; missing weather or an unknown plane is a value like any other to it."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    columns = make_column_transformer((encoder, NAMES), remainder="passthrough")
    return make_pipeline(columns, HistGradientBoostingClassifier(early_stopping=False, random_state=7, **params))
