"""The lake's state machine with a release beside this one that has a column more: no value of it is ever lost.

The other release is a process of its own, so the two take turns; crashes, losses and repairs are as in the machine of
one release.
"""

import atexit
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.support.lake import SESSION
from tests.support.lake_machine import LakeMachine, works
from tests.support.next_release import OtherRelease, next_release
from tests.support.trades import trade

FIRST_OF_NEWER = 100
"""Numbers of trades that the newer release captures; the other's are below."""


@cache
def newer() -> OtherRelease:
    folder = tempfile.TemporaryDirectory()
    release = OtherRelease(next_release(Path(folder.name)))
    atexit.register(folder.cleanup)
    atexit.register(release.close)
    return release


class TwoReleasesMachine(LakeMachine):
    @rule(numbers=st.lists(st.integers(FIRST_OF_NEWER, FIRST_OF_NEWER + 12), min_size=1, max_size=3, unique=True))
    def newer_file_comes(self, numbers: list[int]) -> None:
        self.files += 1
        before = {each.key for each in self.lake.store.list("raw/")}
        newer().add(self.lake, self.files, *numbers)
        (key,) = {each.key for each in self.lake.store.list("raw/")} - before
        self.remember(key, [trade(number) for number in numbers])

    @rule(name=works)
    def newer_runs(self, name: str) -> None:
        self.runs += 1
        newer().work(self.lake, name, f"newer run {self.runs}")

    @rule(name=works, at=st.integers(1, 8), after=st.booleans())
    def newer_runs_and_dies(self, name: str, at: int, after: bool) -> None:
        self.runs += 1
        newer().work(self.lake, name, f"newer run {self.runs}", at, after)

    def teardown(self) -> None:
        super().teardown()
        if not hasattr(self, "lake") or SESSION not in self.lake.catalog.locations:
            return
        self.newer_runs("compact")
        venues = {row.event_id: "X" for row in self.arrived if row.event_id in NEWER_IDS}
        assert dict(newer().read(self.lake)) == {row.event_id: venues.get(row.event_id, "") for row in self.arrived}


NEWER_IDS = {trade(number).event_id for number in range(FIRST_OF_NEWER, FIRST_OF_NEWER + 13)}

TestTwoReleases = pytest.mark.slow(TwoReleasesMachine.TestCase)
TestTwoReleases.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
