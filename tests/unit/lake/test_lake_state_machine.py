"""Any schedule of one release's runs: `tests.support.lake_machine` says what happens, and what must hold."""

import pytest
from hypothesis import settings

from tests.support.lake_machine import LakeMachine

TestLake = pytest.mark.slow(LakeMachine.TestCase)
TestLake.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
