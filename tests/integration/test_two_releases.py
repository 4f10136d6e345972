"""A release with one more column and this one work on one lake, in turns and at once, and no value is lost."""

from pathlib import Path

import pytest

from tests.support.next_release import ROOT, next_release, run
from tests.support.trades import trade


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return next_release(tmp_path_factory.mktemp("release"))


def rows(old: list[int], new: list[int], seen_by_newer: bool) -> list[list[str | None]]:
    """The rows that a release reads: trades that either release captured."""
    venues = {**dict.fromkeys(old, ""), **dict.fromkeys(new, "X")}
    return sorted([trade(number).event_id, venue if seen_by_newer else None] for number, venue in venues.items())


@pytest.mark.parametrize("engine", ["local", "athena"])
def test_releases_take_turns_and_no_value_is_lost(tmp_path: Path, newer: Path, engine: str) -> None:
    lake = tmp_path / "lake"
    run(ROOT, lake, ["add", 1, 2], ["compact", engine])
    # the new one goes on from the old one's version, and its processor writes beside the old one's
    answers = run(newer, lake, ["add", 3, 4], ["compact", engine], ["read"])
    assert answers[-1] == rows([1, 2], [3, 4], seen_by_newer=True)
    # rolled back: the old one compacts on top of the new one's version, and deletes nothing that it does not understand
    (_, note), read, collected = run(ROOT, lake, ["add", 5], ["compact", engine], ["read"], ["collect"])[1:]
    assert "columns of schema version 3 are left out" in note
    assert read == rows([1, 2, 5], [3, 4], seen_by_newer=False)
    assert collected == []
    # and rolled forward again: what the old one left out comes back
    answers = run(newer, lake, ["compact", engine], ["read"], ["collect"], ["read"])
    assert answers[1] == answers[3] == rows([1, 2, 5], [3, 4], seen_by_newer=True)


@pytest.mark.parametrize("engine", ["local", "athena"])
def test_raw_files_of_both_releases_are_compacted_by_either(tmp_path: Path, newer: Path, engine: str) -> None:
    for first, sees in ((ROOT, False), (newer, True)):
        lake = tmp_path / first.name
        run(ROOT, lake, ["add", 1, 2])
        run(newer, lake, ["add", 3, 4])
        (ignored, _), read = run(first, lake, ["compact", engine], ["read"])
        assert ignored == ([] if sees else ["venue"])
        assert read == rows([1, 2], [3, 4], seen_by_newer=sees)
        answers = run(newer, lake, ["compact", engine], ["read"], ["collect"], ["read"])
        assert answers[1] == answers[3] == rows([1, 2], [3, 4], seen_by_newer=True)
        assert answers[2] == [4 // 2]


def test_a_release_does_not_stumble_over_what_a_killed_run_of_the_other_left(tmp_path: Path, newer: Path) -> None:
    for number, (first, second) in enumerate([(ROOT, newer), (newer, ROOT)]):
        lake = tmp_path / str(number)
        run(first, lake, ["add", 1, 2], ["die"])
        _, read = run(second, lake, ["compact", "local"], ["read"])
        assert [event_id for event_id, _ in read] == [trade(1).event_id, trade(2).event_id]
