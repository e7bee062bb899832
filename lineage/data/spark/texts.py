"""Functions of text: positions count characters in both, but case, white space and patterns are not the same."""

import re
from collections.abc import Callable, Mapping

from lineage.data.spark.calls import Call
from lineage.data.spark.cases import UNLIKE
from lineage.data.spark.patterns import java, matches_nothing, replacement
from lineage.data.spark.types import of, text, unless

Rule = Callable[[Call], str]
#: What DuckDB takes for white space at the ends of text: Unicode's space separators.
SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
#: Text that has more than one spelling of its characters, or characters whose case is another in Spark.
ASCII = "[^\\x00-\\x7F]"


def _of_text(template: str) -> Rule:
    """A function of text alone."""
    return lambda call: _as(call, template.format(*call.texts()))


def _as(call: Call, sql: str) -> str:
    return sql if call.type in {"VARCHAR", "BOOLEAN"} else f"CAST({sql} AS {of(call.type)})"


def _in_case(name: str) -> Rule:
    """Upper or lower case of what both know alike; see `lineage.data.spark.cases`."""

    def rule(call: Call) -> str:
        (x,) = call.texts()
        message = f"{name}() of a character whose case is another in Spark"
        return unless(f"{x} RLIKE {text(UNLIKE[name])}", message, f"{name}({x})", "VARCHAR")

    return rule


def _reverse(call: Call) -> str:
    (x,) = call.texts()
    message = "reverse() of text that is not ASCII, which DuckDB takes apart by graphemes"
    return unless(f"{x} RLIKE {text(ASCII)}", message, f"reverse({x})", "VARCHAR")


def _code(call: Call) -> str:
    (x,) = call.texts()
    return f"CASE WHEN {x} = '' THEN -1 ELSE ascii({x}) END"


def _trim(side: str) -> Rule:
    def rule(call: Call) -> str:
        given = call.texts()
        characters = given[1] if len(given) > 1 else text(SPACES)
        return f"trim({side} {characters} FROM {given[0]})"

    return rule


def _left(call: Call) -> str:
    return f"substring({_first_text(call)}, 1, {call.count(1, least=0)})"


def _right(call: Call) -> str:
    x, n = _first_text(call), call.count(1, least=0)
    return f"substring({x}, greatest(length({x}) - {n - 1}, 1), {n})"


def _first_text(call: Call) -> str:
    if call.types[0] != "VARCHAR":
        raise call.refused(f"of a {call.types[0]}")
    return call.args[0]


def _substring(call: Call) -> str:
    start = call.count(1, least=1)
    length = f", {call.count(2, least=0)}" if len(call) > 2 else ""
    return f"substring({_first_text(call)}, {start}{length})"


def _split_part(call: Call) -> str:
    separator, n = call.word(1), call.count(2, least=1)
    if not separator:
        raise call.refused("with an empty separator")
    return f"split_part({_first_text(call)}, {text(separator)}, {n})"


def _concat(call: Call) -> str:
    """NULL is passed over by the function, and by the operator it is not."""
    return f"concat_ws('', {', '.join(_written(call))})"


def _joined(call: Call) -> str:
    left, right = _written(call)
    return f"concat({left}, {right})"


def _written(call: Call) -> list[str]:
    return call.all_to("VARCHAR")


def _concat_ws(call: Call) -> str:
    return f"concat_ws({', '.join(_written(call))})"


def _like(pattern_at: int = 1, *, negated: bool = False, escaped: bool = False) -> Rule:
    def rule(call: Call) -> str:
        pattern = call.word(pattern_at)
        mark = call.word(2) if escaped else ""
        sql = f"({_first_text(call)} RLIKE {text(_of_like(call, pattern, mark))})"
        return f"(NOT {sql})" if negated else sql

    return rule


def _of_like(call: Call, pattern: str, mark: str) -> str:
    """The regular expression of a pattern of LIKE, in which *mark* takes the next character as it is."""
    found, characters = "", iter(pattern)
    for each in characters:
        if mark and each == mark:
            following = next(characters, None)
            if following is None:
                raise call.refused("its pattern ends with the escape character")
            found += re.escape(following)
        else:
            found += {"%": ".*", "_": "."}.get(each) or re.escape(each)
    return f"(?s)\\A{found}\\z"


def _matches(form: str) -> Rule:
    def rule(call: Call) -> str:
        _no_options(call, 2)
        return f"({_first_text(call)} RLIKE {text(form.format(java(call, call.word(1))))})"

    return rule


def _extract(call: Call) -> str:
    _no_options(call, 3)
    group = call.count(2, least=0) if len(call) > 2 else 0
    return f"regexp_extract({_first_text(call)}, {text(java(call, call.word(1)))}, {group})"


def _replace(call: Call) -> str:
    if len(call) != 4 or call.word(3) != "g":
        raise call.refused("without the option 'g'; Spark replaces every match")
    pattern, new = java(call, call.word(1)), replacement(call, call.word(2))
    if matches_nothing(pattern):
        raise call.refused("with a pattern that matches empty text, after which the two go on at other places")
    return f"regexp_replace({_first_text(call)}, {text(pattern)}, {text(new)})"


def _no_options(call: Call, most: int) -> None:
    if len(call) > most:
        raise call.refused("with options")


RULES: Mapping[str, Rule] = {
    "ascii": _of_text("ascii({0})"),
    **dict.fromkeys(("ord", "unicode"), _code),
    "bit_length": _of_text("bit_length({0})"),
    **dict.fromkeys(("length", "len", "char_length", "character_length"), _of_text("char_length({0})")),
    "strlen": _of_text("octet_length({0})"),
    "contains": _of_text("contains({0}, {1})"),
    **dict.fromkeys(("starts_with", "prefix", "^@"), _of_text("startswith({0}, {1})")),
    **dict.fromkeys(("ends_with", "suffix"), _of_text("endswith({0}, {1})")),
    **dict.fromkeys(("instr", "strpos", "position"), _of_text("instr({0}, {1})")),
    **dict.fromkeys(("lower", "lcase"), _in_case("lower")),
    **dict.fromkeys(("upper", "ucase"), _in_case("upper")),
    "trim": _trim("BOTH"),
    "ltrim": _trim("LEADING"),
    "rtrim": _trim("TRAILING"),
    "left": _left,
    "right": _right,
    **dict.fromkeys(("substring", "substr"), _substring),
    "split_part": _split_part,
    "replace": _of_text("replace({0}, {1}, {2})"),
    "reverse": _reverse,
    "md5": _of_text("md5({0})"),
    "sha1": _of_text("sha1({0})"),
    "sha256": _of_text("sha2({0}, 256)"),
    "concat": _concat,
    "concat_ws": _concat_ws,
    "||": _joined,
    "~~": _like(),
    "!~~": _like(negated=True),
    "like_escape": _like(escaped=True),
    "not_like_escape": _like(escaped=True, negated=True),
    "regexp_matches": _matches("{0}"),
    "regexp_full_match": _matches("\\A(?:{0})\\z"),
    "regexp_extract": _extract,
    "regexp_replace": _replace,
}
