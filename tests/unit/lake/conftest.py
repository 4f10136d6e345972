"""What nearly every test of the lake begins with."""

import pytest

from tests.support.lake import Lake


@pytest.fixture
def lake() -> Lake:
    return Lake()
