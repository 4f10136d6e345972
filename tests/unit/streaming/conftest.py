"""What tests of the processor begin with."""

import pytest

from tests.support.processor_world import ProcessorWorld


@pytest.fixture
def world() -> ProcessorWorld:
    return ProcessorWorld()
