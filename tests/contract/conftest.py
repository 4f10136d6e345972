"""What tests of the plans begin with."""

import pytest

from tests.support import terraform_rules as rules
from tests.support.plans import ENVIRONMENTS, load_plan


@pytest.fixture(params=ENVIRONMENTS)
def resources(request: pytest.FixtureRequest) -> list[rules.Resource]:
    planned: list[rules.Resource] = load_plan(request.param)["resources"]
    return planned
