"""Whatever is asked by the description, valid or not, is answered as the description says."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from stock_pipeline.domain.price_alert import UNIT, Level, Rule
from stock_pipeline.serving.app import application
from stock_pipeline.serving.events import Events
from stock_pipeline.serving.openapi import openapi_document
from tests.support.market import Market
from tests.support.trades import trade

# a stream has no end to wait for
PATHS = [path for path in openapi_document()["paths"] if not path.endswith("/stream")]


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    market = Market()
    market.service.alerts = market.alerts(
        Rule("high", ("S0",), Level(12 * UNIT, 11 * UNIT, above=True)),
        Rule("low", ("ZZZ",), Level(12 * UNIT, 13 * UNIT, above=False), feed="sim"),
    )
    market.lake.add([trade(number, symbol=f"S{number % 3}") for number in range(9)], 0)
    market.step()
    yield market
    market.service.follower.close()


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_as_described(market: Market, path: str) -> None:
    app = application(market.service, Events(), follows=False)
    # that start comes before end, and not too long, no schema can say
    has_range = "start" in str(openapi_document()["paths"][path]["get"]["parameters"])
    operation = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)[path]["GET"]

    @given(operation.as_strategy())
    @settings(max_examples=20, deadline=None)
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance] if has_range else [])

    ask()
