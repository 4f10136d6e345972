"""What all tests share: Hypothesis profiles, and AWS services on loopback where a test asks for them."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from stock_pipeline.local.stack import LocalStack, aws_services, local_stack

settings.register_profile(
    "default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
settings.register_profile("nightly", settings.get_profile("default"), derandomize=False, max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """The address of one moto server for the whole session; tests keep apart by the names they choose."""
    with aws_services() as endpoint:
        yield endpoint


@pytest.fixture
def stack(tmp_path: object) -> Iterator[LocalStack]:
    """A local stack of its own, with the default names."""
    with local_stack({"PATH": os.environ["PATH"], "DUCKDB_PATH": f"{tmp_path}/stock_market.duckdb"}) as running:
        yield running
