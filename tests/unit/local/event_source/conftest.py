"""A poller with the pipeline's mapping, on one shard."""

import pytest

from tests.support.poller_scene import Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()
