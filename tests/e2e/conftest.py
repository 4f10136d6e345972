"""The package as others have it, installed once for all tests of a worker that use it."""

import pytest

from tests.support.installed import Installed, install


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("installed"))
