"""What a process has seen of a study, whatever the order in which answers arrive."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lineage.tuning.known import KnownStudy

STUDY = {"study_id": 1, "name": "s", "directions": ["MINIMIZE"]}


def a_row(number: int, revision: int) -> dict[str, Any]:
    """A running trial whose one step says at which revision it was written."""
    empty: list[Any] = []
    maps = {f"{name}_{part}": empty for name in ("param", "user", "system") for part in ("keys", "values")}
    return {
        **maps,
        "param_types": empty,
        "trial_id": (1 << 20) + number,
        "number": number,
        "revision": revision,
        "state": "RUNNING",
        "started_at": datetime(2026, 1, 2, tzinfo=UTC),
        "step_keys": [0],
        "step_values": [float(revision)],
    }


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=12).flatmap(
        lambda numbers: st.permutations(list(enumerate(numbers)))
    )
)
def test_the_newest_state_stays(writes: list[tuple[int, int]]) -> None:
    """Answers in any order, repeated or not, leave each trial as it was written last."""
    study = KnownStudy(STUDY)

    for revision, number in [*writes, *writes[:3]]:
        study.merge([a_row(number, revision)], revision=revision)

    newest = {number: float(revision) for revision, number in sorted(writes)}
    assert newest == {trial.number: trial.intermediate_values[0] for trial in study.ordered()}
    assert study.revision == max(revision for revision, _ in writes)


def test_only_what_nobody_else_writes_is_settled() -> None:
    """A running trial is read anew unless it is ours; a finished one never is."""
    study = KnownStudy(STUDY)
    study.put(a_row(0, 1))
    study.put(a_row(1, 2), owned=True)
    study.put({**a_row(2, 3), "state": "FAIL", "ended_at": datetime(2026, 1, 3, tzinfo=UTC)})

    assert [False, True, True, False] == [study.settled(number) is not None for number in range(4)]
