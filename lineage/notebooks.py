"""Notebooks as sources of code: what was written, without what came out of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lineage.errors import InvalidInput

FORMAT = 4  # of nbformat, which every Jupyter since 2015 writes


def written(data: bytes) -> bytes:
    """The cells of the .ipynb *data* and their language alone, as JSON: running it changes none of that.

    What cells have put out may be rows of data, and is not kept. Raise InvalidInput for what is no notebook.
    """
    try:
        found = json.loads(data)
        if found["nbformat"] != FORMAT:
            raise InvalidInput(
                f"the notebook has the format {found['nbformat']}; save it as {FORMAT}", field="notebook"
            )
        cells = [{"cell_type": str(each["cell_type"]), "source": _text(each["source"])} for each in found["cells"]]
        language = str(found.get("metadata", {}).get("kernelspec", {}).get("language") or "python")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidInput("this is not a notebook of Jupyter (.ipynb)", field="notebook") from error
    return json.dumps({"cells": cells, "language": language}, ensure_ascii=False, separators=(",", ":")).encode()


def _text(source: str | Sequence[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def body(path: str, kept: bytes, sha256: str) -> Mapping[str, Any]:
    """The body of a Notebook whose cells, as `written` gives them, are *kept* under their sha256."""
    found = json.loads(kept)
    return {"path": path, "file": sha256, "cells": len(found["cells"]), "language": found["language"]}
