"""Regular expressions that RE2 and Java read alike, and what is written another way in one of them."""

import re

from lineage.data.spark.calls import Call

PLAIN = set(" !\"#%&',-/:;<=>@_`~")
#: Escapes and what Java needs for them; \b, \pL and the like are not the same everywhere.
ESCAPES = {"d": "[0-9]", "D": "[^0-9]", "w": "[0-9A-Za-z_]", "W": "[^0-9A-Za-z_]", "s": "[\\t\\n\\f\\r ]"}
ESCAPES |= {"S": "[^\\t\\n\\f\\r ]", "n": "\\n", "t": "\\t", "r": "\\r", "f": "\\f", "A": "\\A", "z": "\\z"}
IN_SET = {"d": "0-9", "w": "0-9A-Za-z_", "s": "\\t\\n\\f\\r ", "n": "\\n", "t": "\\t", "r": "\\r", "f": "\\f"}
SPECIAL = set("\\.+*?()[]{}^$|")
DIGITS = set("0123456789")


def java(call: Call, pattern: str) -> str:
    """A pattern of RE2's in Java's spelling; raise InvalidInput for what may match something else."""
    reader = _Reader(call, pattern)
    return reader.read()


def matches_nothing(pattern: str) -> bool:
    """Whether one of our patterns, which has no look-around, matches empty text somewhere."""
    return re.search(pattern.replace("\\z", "\\Z"), "") is not None


def replacement(call: Call, text: str) -> str:
    """What stands in the place of a match: RE2's \\1 is Java's $1."""
    found, at = "", 0
    while at < len(text):
        each = text[at]
        if each == "\\":
            at += 1
            following = text[at : at + 1]
            if following not in DIGITS and following != "\\":
                raise call.refused(f"with {each}{following} in what is put in the place of a match")
            if following in DIGITS and text[at + 1 : at + 2] in DIGITS:
                raise call.refused("with a digit behind a group in what is put in the place of a match")
            found += f"${following}" if following in DIGITS else "\\\\"
        else:
            found += f"\\{each}" if each == "$" else each
        at += 1
    return found


class _Reader:
    """Goes through a pattern, from left to right."""

    def __init__(self, call: Call, pattern: str) -> None:
        self._call, self._pattern, self._at = call, pattern, 0

    def read(self) -> str:
        found = ""
        while self._at < len(self._pattern):
            found += self._next()
        return found

    def _next(self) -> str:
        each = self._take()
        if each.isalnum() or each in PLAIN:
            return each
        if each == "\\":
            following = self._take()
            if following in ESCAPES:
                return ESCAPES[following]
            return self._literal(following)
        if each == ".":
            return "[^\\n]"
        if each == "$":
            return "\\z"
        if each == "^":
            return "\\A"
        if each == "[":
            return self._set()
        if each == "(":
            return self._group()
        if each == "{":
            return self._times()
        if each in "|)*+?":
            if each in "*+?" and self._peek() == "+":
                raise self._refuse(f"{each}+")
            return each
        raise self._refuse(each)

    def _literal(self, each: str) -> str:
        if each in SPECIAL or each in PLAIN:
            return f"\\{each}"
        raise self._refuse(f"\\{each}")

    def _group(self) -> str:
        if self._peek() != "?":
            return "("
        if self._pattern[self._at : self._at + 2] == "?:":
            self._at += 2
            return "(?:"
        raise self._refuse("(?")

    def _times(self) -> str:
        end = self._pattern.find("}", self._at)
        inside = self._pattern[self._at : end] if end >= 0 else ""
        low, _, high = inside.partition(",")
        if not low.isdigit() or (high and not high.isdigit()) or int(high or low) > 1000:
            raise self._refuse("{")
        self._at = end + 1
        if self._peek() == "+":
            raise self._refuse("}+")
        return "{" + inside + "}"

    def _set(self) -> str:
        found = "["
        if self._peek() == "^":
            found += self._take()
        first = True
        while (each := self._take()) != "]" or first:
            first = False
            if each == "\\":
                following = self._take()
                found += IN_SET[following] if following in IN_SET else self._literal(following)
            elif each == "-" or each.isalnum() or (each in PLAIN and each != "&"):
                found += each
            elif each in ".+*?(){}$|&":
                found += f"\\{each}"
            else:
                raise self._refuse(f"{each} in a set")
        return found + "]"

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        if self._at >= len(self._pattern):
            raise self._refuse("its end")
        self._at += 1
        return self._pattern[self._at - 1]

    def _refuse(self, what: str) -> Exception:
        return self._call.refused(f"with {what!r} in its pattern, which is not sure to mean the same")
