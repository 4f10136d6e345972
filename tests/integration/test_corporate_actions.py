"""Corporate actions from Alpaca's answer to adjusted bars: the asset on loopback, then the models on DuckDB."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.corporate_action import ActionKind, CorporateAction, News
from stock_pipeline.lake.corporate_actions import CorporateActionLog
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.corporate_actions import corporate_actions
from stock_pipeline.orchestration.resources import LakeResource
from tests.support.built_lake import RAW_ROWS, new_lake, run_dbt
from tests.support.dagster_lake import opened_lake
from tests.support.provider_fakes import KEY, SECRET, Answer, ScriptedServer, recorded, scripted_server
from tests.support.sample_session import SAMPLE_DATE, sample_trades

pytestmark = pytest.mark.xdist_group("lake")

LEARNED = datetime(2018, 1, 2, 12, tzinfo=UTC)
NEXT_DATE = date(2018, 1, 3)


@pytest.fixture
def api(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    stack.clients.secretsmanager.create_secret(
        Name=stack.settings.provider_secret_name, SecretString=json.dumps({"key": KEY, "secret": SECRET})
    )
    with scripted_server() as server:
        monkeypatch.setenv("PROVIDER_URL", server.url)
        yield server


def learn(stack: LocalStack, api: ScriptedServer, *answers: Answer, **options: Any) -> dg.ExecuteInProcessResult:
    api.play(*answers)
    environ = {**stack.settings.environ(), "PROVIDER_URL": api.url, "SYMBOLS": "FBL,NMHI"}
    return dg.materialize(
        [corporate_actions()], resources={"lake": LakeResource(environ=environ)}, raise_on_error=False, **options
    )


def pages(**kinds: Any) -> tuple[Answer, Answer]:
    changes = {"name_changes": kinds.pop("name_changes", [])}
    return tuple(  # type: ignore[return-value]
        Answer(json.dumps({"corporate_actions": part, "next_page_token": None}).encode()) for part in (changes, kinds)
    )


def test_what_alpaca_announces_is_learned_once(stack: LocalStack, api: ScriptedServer) -> None:
    recording = Answer(recorded("alpaca/TestGetCorporateActions.1"))
    first = learn(stack, api, recording, recording)
    second = learn(stack, api, recording, recording)
    figures = [
        {name: event.metadata[name].value for name in ("dagster/row_count", "learned", "withdrawn")}
        for result in (first, second)
        for event in result.asset_materializations_for_node("corporate_actions")
    ]
    # the split of FBL, and the change of symbol to NMHI
    assert figures == [
        {"dagster/row_count": 2, "learned": 2, "withdrawn": 0},
        {"dagster/row_count": 2, "learned": 0, "withdrawn": 0},
    ]
    assert len(list(stack.wiring.objects.list("reference/"))) == 1
    (check,) = first.get_asset_check_evaluations()
    assert (check.passed, "stock_mergers" in (check.description or "")) == (False, True)
    assert first.success


def test_a_split_that_is_called_off_is_withdrawn(stack: LocalStack, api: ScriptedServer) -> None:
    split = {"symbol": "FBL", "old_rate": 1, "new_rate": 5, "ex_date": "2024-03-13", "process_date": "2024-03-13"}
    learn(stack, api, *pages(forward_splits=[split]))
    learn(stack, api, *pages())
    with opened_lake(stack) as lake:
        news = lake.wiring.corporate_action_log().read()
    assert [(piece.action.symbol, piece.is_withdrawn) for piece in news] == [("FBL", False), ("FBL", True)]


@pytest.mark.parametrize("answer", [Answer(status=403), Answer(b"{}", status=422)])
def test_a_refusal_fails_the_run_and_changes_nothing(stack: LocalStack, api: ScriptedServer, answer: Answer) -> None:
    result = learn(stack, api, *[answer] * 3)
    assert not result.success
    assert list(stack.wiring.objects.list("reference/")) == []


def test_another_provider_is_told_about_the_seed(stack: LocalStack, api: ScriptedServer) -> None:
    environ = {**stack.settings.environ(), "PROVIDER": "finnhub"}
    with pytest.raises(dg.Failure, match="corporate_action_overrides"):
        dg.materialize([corporate_actions()], resources={"lake": LakeResource(environ=environ)})


def action(kind: ActionKind, symbol: str, **values: Any) -> CorporateAction:
    return CorporateAction(kind, symbol, NEXT_DATE, NEXT_DATE, **values)


def test_bars_follow_the_log_to_todays_shares_and_names(aws_endpoint: str, tmp_path: Path) -> None:
    """XXX splits 2 for 1, pays 1.5704 USD, and becomes S0, all on the second day."""
    lake = new_lake(aws_endpoint, tmp_path, "adjusted_market")
    lake.catalog.create()
    lake.publish(SAMPLE_DATE, sample_trades(), "00000000000000ab")
    lake.put_raw(RAW_ROWS, "2")
    actions = [
        action(ActionKind.SPLIT, "XXX", shares_before=Decimal(1), shares_after=Decimal(2)),
        action(ActionKind.CASH_DIVIDEND, "XXX", cash_amount=Decimal("1.5704")),
        action(ActionKind.CASH_DIVIDEND, "XXX", cash_amount=Decimal("99")),
        action(ActionKind.SYMBOL_CHANGE, "XXX", new_symbol="S0"),
    ]
    log = CorporateActionLog(ObjectStore(lake.client("s3"), lake.bucket))
    log.append([News(each, "alpaca", LEARNED, False) for each in actions])
    log.append([News(actions[2], "alpaca", LEARNED.replace(hour=13), True)])
    run_dbt(lake.environment, "build", "--exclude", "resource_type:unit_test")
    rows = lake.query(
        "select adjustment, traded_as, close, volume, share_factor, dividend_factor from daily_bars_adjusted "
        f"where symbol = 'S0' and session_date = date '{SAMPLE_DATE}' order by adjustment"
    )
    # the bar's close is 157.04, its volume 5,108,362
    assert rows == [
        ("splits", "XXX", Decimal("78.52"), 10_216_724, Decimal(2), Decimal(1)),
        ("splits_and_dividends", "XXX", Decimal("77.7348"), 10_216_724, Decimal(2), Decimal("0.99")),
    ]
    (today,) = lake.query(f"select count(*) from daily_bars_adjusted where session_date = date '{NEXT_DATE}'")
    assert today == (6,)
    (as_traded,) = lake.query(f"select close, volume from daily_bars where session_date = date '{SAMPLE_DATE}'")
    assert as_traded == (Decimal("157.04"), 5_108_362)


def test_a_split_that_prices_do_not_show_is_a_warning(aws_endpoint: str, tmp_path: Path) -> None:
    """XXX closes at 157.04, S0 opens at some 100: no split of 7 for 1 lies between."""
    lake = new_lake(aws_endpoint, tmp_path, "doubted_market")
    lake.catalog.create()
    lake.publish(SAMPLE_DATE, sample_trades(), "00000000000000ab")
    lake.put_raw([replace(row, feed="taq") for row in RAW_ROWS], "2")
    change = action(ActionKind.SYMBOL_CHANGE, "XXX", new_symbol="S0")
    split = action(ActionKind.SPLIT, "XXX", shares_before=Decimal(1), shares_after=Decimal(7))
    log = CorporateActionLog(ObjectStore(lake.client("s3"), lake.bucket))
    log.append([News(change, "alpaca", LEARNED, False), News(split, "alpaca", LEARNED, False)])
    statuses = run_dbt(lake.environment, "build", "--exclude", "resource_type:unit_test")
    assert statuses["known_splits_show_in_prices"] == "warn"
