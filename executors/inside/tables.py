"""The splits of a training set as frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from executors.inside.verdicts import InvalidJob, need


class Tables:
    """The Parquet files that a job names, read once each."""

    def __init__(self, root: Path, job: dict[str, Any]) -> None:
        self._root = root
        self.paths: dict[str, str] = dict(job.get("data") or {})
        self.features: list[str] = list(job["features"])
        self.label: str | None = job.get("label")
        self.entity: list[str] = list(job.get("entity") or ())
        self._read: dict[str, Any] = {}
        self._frames: dict[str, Any] = {}

    def table(self, split: str) -> Any:
        """The split as an Arrow table."""
        if split not in self._read:
            if split not in self.paths:
                known = ", ".join(sorted(self.paths)) or "none"
                raise InvalidJob(f"there is no data {split!r}; there is: {known}")
            self._read[split] = self._load(split)
        return self._read[split]

    def _load(self, split: str) -> Any:
        parquet = need("pyarrow.parquet", "pyarrow")
        path = self._root / self.paths[split]
        try:
            table = parquet.read_table(path)
        except (OSError, ValueError) as error:
            raise InvalidJob(f"{self.paths[split]} cannot be read: {error}") from error
        missing = [name for name in self.features if name not in table.column_names]
        if missing:
            raise InvalidJob(f"{self.paths[split]} lacks the features {missing}")
        return table

    def frame(self, split: str) -> Any:
        """The split as a data frame of the caller's own with every column, decimals as floats: estimators take none."""
        return self._frame(split).copy()

    def _frame(self, split: str) -> Any:
        if split not in self._frames:
            self._frames[split] = self._convert(split)
        return self._frames[split]

    def _convert(self, split: str) -> Any:
        arrow = need("pyarrow")
        need("pandas")
        table = self.table(split)
        for index, field in enumerate(table.schema):
            if arrow.types.is_decimal(field.type):
                table = table.set_column(index, field.name, table.column(index).cast(arrow.float64()))
        return table.to_pandas()

    def x(self, split: str) -> Any:
        """The features, in order."""
        return self._frame(split)[self.features].copy()

    def y(self, split: str) -> Any:
        """The label as an array; raise InvalidJob where it is missing."""
        frame = self._frame(split)
        if self.label is None or self.label not in frame.columns:
            raise InvalidJob(f"{split} has no label {self.label!r}")
        labels = frame[self.label]
        unknown = int(labels.isna().sum())
        if unknown:
            raise InvalidJob(f"the label {self.label!r} is null in {unknown} of {len(labels)} rows of {split}")
        return labels.to_numpy(dtype=None if labels.dtype.kind in "biufM" else object, copy=True)
