"""Characters whose upper or lower case is another in Spark than in DuckDB, as patterns.

Found by asking both for every character of Unicode (tests/yarn/test_parity.py asks again); what is lower case for a
capital sigma depends in Spark on what stands beside it.
"""

RANGES = {
    "lower": "130 3A3 1C89 A7CB-A7CC A7CE A7D2 A7D4 A7DA A7DC 10D50-10D65 16EA0-16EB8",
    "upper": "DF 149 19B 1F0 264 390 3B0 587 1C8A 1E96-1E9A 1F50 1F52 1F54 1F56 1F80-1FAF 1FB2-1FB4 1FB6-1FB7 1FBC "
    "1FC2-1FC4 1FC6-1FC7 1FCC 1FD2-1FD3 1FD6-1FD7 1FE2-1FE4 1FE6-1FE7 1FF2-1FF4 1FF6-1FF7 1FFC A7CD A7CF A7D3 A7D5 "
    "A7DB FB00-FB06 FB13-FB17 10D70-10D85 16EBB-16ED3",
}


def _pattern(ranges: str) -> str:
    ends = (each.partition("-") for each in ranges.split())
    return "[" + "".join(f"\\x{{{low}}}-\\x{{{high or low}}}" for low, _, high in ends) + "]"


UNLIKE = {name: _pattern(ranges) for name, ranges in RANGES.items()}
