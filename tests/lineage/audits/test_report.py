"""The page of an audit: nothing of the graph is markup in it, and it needs nothing else."""

from html.parser import HTMLParser
from typing import Any

from lineage.audits import report

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\" ' &amp;"


def an_export(word: str = "plain") -> dict[str, Any]:
    """An audit's export in which everything is called *word*."""
    curve = {"fpr": [0.0, 0.5, 1.0], "tpr": [0.0, 0.9, 1.0], "thresholds": [None, 0.5, 0.1]}
    facts = [
        {"section": word, "name": word, "value": {word: [word, 1, None]}, "source": word},
        {"section": "metrics", "name": "curves", "value": {"roc": curve, word: curve}, "source": None},
        {"section": "metrics", "name": "curves", "value": {"roc": {"fpr": [word], "tpr": [2]}}, "source": None},
        {"section": "metrics", "name": "curves", "value": [word], "source": None},
    ]
    return {
        "model": {"id": word, "name": word, "version": word},
        "complete": False,
        "gaps": [{"section": word, "message": word}],
        "facts": facts,
        "verified": [{"what": word, "digest": word, "verified": False, "message": word}],
        "seal": word,
    }


class Tags(HTMLParser):
    """The tags and the attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_words_of_the_graph_are_no_markup() -> None:
    """A page of hostile names has the tags and attributes of one of plain names, and shows the names as they are."""
    plain, hostile = (Tags(report.page(an_export(word))) for word in ("plain", HOSTILE))

    assert (plain.tags, plain.attributes) == (hostile.tags, hostile.attributes)
    assert not {"script", "img", "link", "iframe"} & hostile.tags
    assert not {"src", "href", "onerror"} & hostile.attributes
    assert HOSTILE in hostile.text


def test_a_curve_is_drawn() -> None:
    """The points of a known curve are a path; what has another shape is not drawn."""
    page = report.page(an_export())

    assert 1 == page.count("<path")
    assert "M 0.00,100.00 50.00,10.00 100.00,0.00" in page
    assert "tpr over fpr" in page
