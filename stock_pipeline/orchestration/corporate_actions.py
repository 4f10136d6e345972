"""The asset `corporate_actions`: what Alpaca announces of the settings' symbols, asked anew each morning.

What is news belongs to `domain.corporate_action`, what it means for prices to the dbt models.
"""

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg

from stock_pipeline.domain.corporate_action import (
    CorporateAction,
    News,
    SuspiciousAnswerError,
    known_actions,
    news_of,
)
from stock_pipeline.errors import PermanentError, RetryableError
from stock_pipeline.orchestration.alpaca import PRICE_API, alpaca_calls
from stock_pipeline.orchestration.freshness import POLICY
from stock_pipeline.orchestration.owners import OWNERS
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.orchestration.switches import schedule_status
from stock_pipeline.providers.alpaca.corporate_actions import SOURCE, ActionsAnswer, AlpacaCorporateActions
from stock_pipeline.providers.client.http import ProviderPermanentError, ProviderRetryableError
from stock_pipeline.settings import Settings
from stock_pipeline.wiring import Wiring, utc_now

CORPORATE_ACTIONS_JOB = "learn_corporate_actions"
CORPORATE_ACTIONS_SCHEDULE = "daily_corporate_actions"

FIRST_DAY = date(2016, 1, 1)
"""Alpaca's history begins with 2016."""

AHEAD = timedelta(days=365)
SECONDS = 600

_BEFORE_THE_MARKET_OPENS = "30 5 * * *"
_SHOWN_NEWS = 50
_INSTEAD = "write those of your symbols into the seed corporate_action_overrides"


def corporate_actions_definitions(settings: Settings) -> dg.Definitions:
    job = dg.define_asset_job(
        CORPORATE_ACTIONS_JOB,
        selection=["corporate_actions"],
        description="Ask Alpaca for splits, dividends and changes of symbol, and keep what is new.",
    )
    # a laptop has no key, and the demo's symbol no splits
    has_key = settings.provider == "alpaca" and settings.dbt_target == "athena"
    status = schedule_status(settings) if has_key else dg.DefaultScheduleStatus.STOPPED
    schedule = dg.ScheduleDefinition(
        name=CORPORATE_ACTIONS_SCHEDULE,
        job=job,
        cron_schedule=_BEFORE_THE_MARKET_OPENS,
        execution_timezone="America/New_York",
        default_status=status,
        description="Learn before the market opens which splits and dividends are due.",
    )
    return dg.Definitions(assets=[corporate_actions()], jobs=[job], schedules=[schedule])


class CorporateActionsConfig(dg.Config):
    """Options of a question.

    first_day: first process date that is asked for, such as 2016-01-01.
    symbols: in place of the settings' symbols, separated by commas.
    """

    first_day: str = FIRST_DAY.isoformat()
    symbols: str = ""


def corporate_actions() -> dg.AssetsDefinition:
    @dg.asset(
        name="corporate_actions",
        group_name="lake",
        kinds={"s3", "parquet"},
        owners=OWNERS,
        code_version="1",
        freshness_policy=POLICY,
        pool=PRICE_API,
        check_specs=[
            dg.AssetCheckSpec(
                "every_record_is_an_action",
                asset="corporate_actions",
                description="Alpaca's records are read whole, and none changes shares into others, as a merger does. A "
                "warning: prices of these symbols need a row of the seed corporate_action_overrides.",
            )
        ],
    )
    def learned(config: CorporateActionsConfig, lake: LakeResource) -> Iterator[object]:
        """Splits, dividends and changes of symbol as they are announced, revised and withdrawn: a row each time."""
        symbols = tuple(part.strip() for part in config.symbols.split(",") if part.strip()) or lake.settings.symbols
        try:
            answer, news, known = learn(lake.wiring, symbols, date.fromisoformat(config.first_day), utc_now())
        except (ProviderRetryableError, RetryableError) as error:
            raise dg.RetryRequested(3, 60) from error
        except (ProviderPermanentError, PermanentError, SuspiciousAnswerError, ValueError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        yield dg.MaterializeResult(asset_key="corporate_actions", metadata=figures(news, known, symbols))
        yield check_result(answer)

    return learned


def learn(
    wiring: Wiring, symbols: tuple[str, ...], first_day: date, now: datetime
) -> tuple[ActionsAnswer, list[News], frozenset[CorporateAction]]:
    """Ask Alpaca, and append to the log what is new. Return the answer, the news, and what is known by now."""
    log = wiring.corporate_action_log()
    told = log.read()
    known = known_actions(told, SOURCE)
    with alpaca_calls(wiring, "corporate actions come", _INSTEAD) as client:
        reader = AlpacaCorporateActions(client)
        answer = reader.read(symbols, first_day, now.date() + AHEAD, time.time_ns() + SECONDS * 10**9)
    learned_at = log.time_of_next(now, told)
    news = news_of(answer.actions, answer.question, known, SOURCE, learned_at)
    log.append(news)
    return answer, news, known_actions([*told, *news], SOURCE)


def figures(
    news: list[News], known: frozenset[CorporateAction], symbols: tuple[str, ...]
) -> dict[str, dg.MetadataValue]:
    today = utc_now().date()
    return {
        "dagster/row_count": dg.MetadataValue.int(len(known)),
        "symbols": dg.MetadataValue.int(len(symbols)),
        "learned": dg.MetadataValue.int(sum(not piece.is_withdrawn for piece in news)),
        "withdrawn": dg.MetadataValue.int(sum(piece.is_withdrawn for piece in news)),
        "news": dg.MetadataValue.md(_table([(piece.action, piece.is_withdrawn) for piece in news][:_SHOWN_NEWS])),
        "due": dg.MetadataValue.md(_table([(action, False) for action in sorted(known) if action.ex_date >= today])),
    }


def _table(actions: list[tuple[CorporateAction, bool]]) -> str:
    if not actions:
        return "none"
    lines = ["| ex-date | symbol | what | |", "|---|---|---|---|"]
    for action, is_withdrawn in actions:
        what = (
            f"{action.shares_after:f} for {action.shares_before:f}"
            if action.shares_before
            else f"{action.cash_amount:f} USD"
            if action.cash_amount
            else f"becomes {action.new_symbol}"
        )
        lines.append(
            f"| {action.ex_date} | {action.symbol} | {action.kind}: {what} | {'off' if is_withdrawn else ''} |"
        )
    return "\n".join(lines)


def check_result(answer: ActionsAnswer) -> dg.AssetCheckResult:
    """Return the check `every_record_is_an_action`."""
    kinds = [f"{count} of {kind}, which are not taken" for kind, count in sorted(answer.not_taken.items())]
    return dg.AssetCheckResult(
        check_name="every_record_is_an_action",
        asset_key="corporate_actions",
        passed=not answer.unreadable and not kinds,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join([*answer.unreadable[:10], *kinds]) or f"{len(answer.actions)} records are actions",
        metadata={"unreadable": dg.MetadataValue.json(answer.unreadable)},
    )
