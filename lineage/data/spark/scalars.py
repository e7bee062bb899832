"""Functions of one row: DuckDB's name → how Spark is asked for the same value; a name that is not here is refused."""

from collections.abc import Callable, Mapping

from lineage.data.spark import texts, times
from lineage.data.spark.calls import Call
from lineage.data.spark.types import FLOATS, INTEGERS, TYPES, digits, is_number, of, unless

Rule = Callable[[Call], str]
NAN, INFINITY = "double('nan')", "double('infinity')"


def write(call: Call) -> str:
    """A call as Spark says it; raise InvalidInput where it cannot."""
    rule = RULES.get(call.name)
    if rule is None:
        raise call.refused()
    return rule(call)


def floor(x: str) -> str:
    """The floor of a DOUBLE as a DOUBLE, which Spark's own function does not give."""
    return f"CASE WHEN rint({x}) > {x} THEN rint({x}) - 1D ELSE rint({x}) END"


def ceiling(x: str) -> str:
    """The ceiling of a DOUBLE, with the sign of zero as C has it."""
    return f"(- {floor(f'(- {x})')})"


def _doubles(template: str) -> Rule:
    """A function of DOUBLEs."""
    return lambda call: _typed(call, template.format(*call.all_to("DOUBLE")), "DOUBLE")


def _typed(call: Call, sql: str, type_: str) -> str:
    """*sql*, which has a DuckDB type in Spark, as the type that the call has in DuckDB."""
    return sql if call.type == type_ else f"CAST({sql} AS {of(call.type)})"


def _plus(call: Call) -> str:
    if len(call) == 1:
        return call.args[0]
    return times.plus(call) if not is_number(call.type) else _arithmetic(call, "+")


def _minus(call: Call) -> str:
    if len(call) == 1 and is_number(call.type):
        return f"(- {call.to(0, call.type)})"
    return times.minus(call) if not all(map(is_number, call.types)) else _arithmetic(call, "-")


def _times(call: Call) -> str:
    return _arithmetic(call, "*")


def _arithmetic(call: Call, sign: str) -> str:
    if not is_number(call.type) or call.type == "HUGEINT":
        raise call.refused(f"its value is a {call.type}")
    if not call.type.startswith("DECIMAL"):
        left, right = call.all_to(call.type)
        return f"({left} {sign} {right})"
    sides = [_exact(call, position) for position in (0, 1)]
    (p1, s1), (p2, s2) = (digits(type_) for _, type_ in sides)
    most = p1 + p2 + 1 if sign == "*" else max(s1, s2) + max(p1 - s1, p2 - s2) + 1
    if most > 38:
        raise call.refused("its value may have more than 38 digits; cast to fewer")
    return f"CAST(({sides[0][0]} {sign} {sides[1][0]}) AS {of(call.type)})"


def _exact(call: Call, position: int) -> tuple[str, str]:
    """An argument as a decimal of its own digits, and that type."""
    type_ = call.types[position]
    if type_ in FLOATS:
        raise call.refused(f"a {type_} beside a DECIMAL")
    precision, scale = digits(type_)
    exact = f"DECIMAL({precision},{scale})"
    return call.to(position, exact), exact


def _divide(call: Call) -> str:
    """IEEE's division, where Spark would stop at nought."""
    if call.type not in FLOATS:
        raise call.refused(f"its value is a {call.type}")
    a, b = call.all_to("DOUBLE")
    if call.type == "FLOAT":
        raise call.refused("of two FLOATs; cast one to DOUBLE")
    if call.is_nonzero(1):
        return f"({a} / {b})"
    signed = f"CASE WHEN ({a} > 0D) = (CAST({b} AS STRING) = '0.0') THEN {INFINITY} ELSE (- {INFINITY}) END"
    at_zero = f"CASE WHEN {a} IS NULL THEN NULL WHEN {a} = 0D OR isnan({a}) THEN {NAN} ELSE {signed} END"
    return f"CASE WHEN {b} = 0D THEN {at_zero} ELSE {a} / {b} END"


def _div(call: Call) -> str:
    if call.type not in INTEGERS:
        raise call.refused("of numbers that are no integers; use floor(a / b) or trunc(a / b)")
    a, b = call.all_to(call.type)
    return f"CAST(({a} div {b}) AS {of(call.type)})"


def _mod(call: Call) -> str:
    if call.type in INTEGERS:
        a, b = call.all_to(call.type)
        least = {"TINYINT": "-128", "SMALLINT": "-32768", "INTEGER": "-2147483648"}.get(
            call.type, "(-9223372036854775807L - 1L)"
        )
        message = "overflow in division"
        return unless(f"{b} = -1 AND {a} = {least}", message, f"CAST(({a} % {b}) AS {of(call.type)})", call.type)
    if call.type == "DOUBLE":
        a, b = call.all_to("DOUBLE")
        nan = f"CASE WHEN {a} IS NULL THEN NULL ELSE {NAN} END"
        return f"CASE WHEN {b} = 0D THEN {nan} ELSE {a} % {b} END"
    raise call.refused(f"of a {call.type}")


def _power(call: Call) -> str:
    """C's pow: 1 to any power and anything to the power of nought are 1, also where one is not a number."""
    a, b = call.all_to("DOUBLE")
    one = f"{b} = 0D OR {a} = 1D OR ({a} = -1D AND abs({b}) = {INFINITY})"
    return f"CASE WHEN {a} IS NULL OR {b} IS NULL THEN NULL WHEN {one} THEN 1D ELSE pow({a}, {b}) END"


def _logarithm(name: str) -> Rule:
    def rule(call: Call) -> str:
        if len(call) > 1 and call.count(0, least=0) != 10:
            raise call.refused("with a base other than 10; divide two logarithms")
        x = call.all_to("DOUBLE")[-1]
        return f"CASE WHEN {x} = 0D THEN (- {INFINITY}) WHEN {x} < 0D THEN {NAN} ELSE {name}({x}) END"

    return rule


def _atan2(call: Call) -> str:
    """C's atan2, which tells the two noughts apart, as Spark's does not."""
    y, x = call.all_to("DOUBLE")
    is_left = f"{x} < 0D OR CAST({x} AS STRING) = '-0.0'"
    half = f"CASE WHEN CAST({y} AS STRING) = '-0.0' THEN (- pi()) ELSE pi() END"
    flat = f"CASE WHEN {is_left} THEN {half} ELSE {y} END"
    return f"CASE WHEN {y} = 0D AND NOT isnan({x}) AND {x} IS NOT NULL THEN {flat} ELSE atan2({y}, {x}) END"


def _rounding(whole: Callable[[str], str], of_decimal: str | None) -> Rule:
    """Functions that give a number without a fraction."""

    def rule(call: Call) -> str:
        if len(call) > 1:
            raise call.refused("with digits; multiply and divide")
        type_ = call.types[0]
        if type_ in FLOATS:
            return _typed(call, whole(call.to(0, "DOUBLE")), "DOUBLE")
        if type_ in INTEGERS:
            return call.to(0, call.type)
        if of_decimal is None or not type_.startswith("DECIMAL"):
            raise call.refused(f"of a {type_}")
        return f"CAST({of_decimal.format(call.args[0])} AS {of(call.type)})"

    return rule


def truncated(x: str) -> str:
    """A DOUBLE without its fraction."""
    return f"CASE WHEN {x} < 0D THEN {ceiling(x)} ELSE {floor(x)} END"


def rounded(x: str) -> str:
    """A DOUBLE rounded half away from zero, as C has it."""
    whole = truncated(x)
    return f"CASE WHEN abs({x} - {whole}) >= 0.5D THEN {whole} + signum({x}) ELSE {whole} END"


def _round(call: Call) -> str:
    places = call.count(1, least=0) if len(call) > 1 else 0
    type_ = call.types[0]
    if type_ in INTEGERS:
        return call.to(0, call.type)
    if type_.startswith("DECIMAL"):
        return f"CAST(round({call.args[0]}, {places}) AS {of(call.type)})"
    if type_ != "DOUBLE" or places > 15:
        raise call.refused(f"of a {type_} to {places} places; cast to DOUBLE")
    x = call.args[0]
    if not places:
        return rounded(x)
    scaled = f"({x} * 1E{places}D)"
    made = f"({rounded(scaled)}) / 1E{places}D"
    return f"CASE WHEN isnan({scaled}) OR abs({scaled}) = {INFINITY} THEN {x} ELSE {made} END"


def _absolute(call: Call) -> str:
    return f"abs({call.to(0, call.type)})"


def _sign(call: Call) -> str:
    x = call.args[0]
    if not is_number(call.types[0]):
        raise call.refused(f"of a {call.types[0]}")
    nan = f"WHEN isnan({x}) THEN 0 " if call.types[0] in FLOATS else ""
    found = f"CASE WHEN {x} IS NULL THEN NULL {nan}WHEN {x} > 0 THEN 1 WHEN {x} < 0 THEN -1 ELSE 0 END"
    return f"CAST({found} AS {of(call.type)})"


def _is(template: str, default: str) -> Rule:
    """A question that a floating-point number can be asked, and the answer of all other numbers and times."""

    def rule(call: Call) -> str:
        x, type_ = call.args[0], call.types[0]
        answer = template.format(x=x, inf=INFINITY if type_ == "DOUBLE" else "float('infinity')")
        if type_ not in FLOATS:
            if type_ not in INTEGERS:
                raise call.refused(f"of a {type_}")
            answer = default
        return f"CASE WHEN {x} IS NULL THEN NULL ELSE {answer} END"

    return rule


def _extreme(name: str) -> Rule:
    def rule(call: Call) -> str:
        if call.type not in TYPES and not is_number(call.type):
            raise call.refused(f"of a {call.type}")
        sides = call.all_to(call.type)
        return f"{name}({', '.join(sides)})" if len(sides) > 1 else sides[0]

    return rule


def _bits(sign: str) -> Rule:
    def rule(call: Call) -> str:
        if call.type not in INTEGERS:
            raise call.refused(f"of a {call.type}")
        sides = call.all_to(call.type)
        return f"({sign}{sides[0]})" if len(sides) == 1 else f"({sides[0]} {sign} {sides[1]})"

    return rule


def _bit_count(call: Call) -> str:
    masks = {"TINYINT": "255L", "SMALLINT": "65535L", "INTEGER": "4294967295L", "BIGINT": "-1L"}
    if call.types[0] not in masks:
        raise call.refused(f"of a {call.types[0]}")
    return f"CAST(bit_count({call.to(0, 'BIGINT')} & {masks[call.types[0]]}) AS {of(call.type)})"


def _if(call: Call) -> str:
    return f"CASE WHEN {call.to(0, 'BOOLEAN')} THEN {call.to(1, call.type)} ELSE {call.to(2, call.type)} END"


def _null_if(call: Call) -> str:
    if len({*call.types, call.type}) > 1 and not all(type_ in INTEGERS for type_ in call.types):
        raise call.refused("of two types; cast one to the other")
    return f"nullif({call.to(0, call.type)}, {call.to(1, call.type)})"


#: What is computed by C's library there and by Java's here, and may differ in the last digit.
BY_LIBRARY: Mapping[str, Rule] = {
    **{name: _doubles(f"{name}({{0}})") for name in ("acos", "asin", "atan", "cos", "exp", "sin", "tan")},
    **{name: _doubles(f"{name}({{0}})") for name in ("cosh", "sinh", "tanh")},
    "atan2": _atan2,
    "ln": _logarithm("ln"),
    "log": _logarithm("log10"),
    "log10": _logarithm("log10"),
    **dict.fromkeys(("pow", "power", "^", "**"), _power),
}
RULES: Mapping[str, Rule] = {
    **BY_LIBRARY,
    **dict.fromkeys(("+", "add"), _plus),
    **dict.fromkeys(("-", "subtract"), _minus),
    **dict.fromkeys(("*", "multiply"), _times),
    "/": _divide,
    **dict.fromkeys(("//", "divide"), _div),
    **dict.fromkeys(("%", "mod"), _mod),
    "&": _bits("&"),
    "|": _bits("|"),
    "~": _bits("~"),
    "xor": _bits("^"),
    "bit_count": _bit_count,
    "abs": _absolute,
    "sign": _sign,
    "floor": _rounding(floor, "floor({0})"),
    **dict.fromkeys(("ceil", "ceiling"), _rounding(ceiling, "ceil({0})")),
    "trunc": _rounding(truncated, None),
    "round": _round,
    "sqrt": _doubles("sqrt({0})"),
    "degrees": _doubles("({0} * (180D / pi()))"),
    "radians": _doubles("({0} * (pi() / 180D))"),
    "pi": _doubles("pi()"),
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
    "isnan": _is("isnan({x})", "false"),
    "isinf": _is("abs({x}) = {inf}", "false"),
    "isfinite": _is("NOT (isnan({x}) OR abs({x}) = {inf})", "true"),
    "if": _if,
    "nullif": _null_if,
    **texts.RULES,
    **times.RULES,
}
