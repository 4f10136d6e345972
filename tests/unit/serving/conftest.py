"""A market in memory, with a follower that ends."""

from collections.abc import Iterator

import pytest

from tests.support.market import Market


@pytest.fixture
def market() -> Iterator[Market]:
    market = Market()
    yield market
    market.service.follower.close()
