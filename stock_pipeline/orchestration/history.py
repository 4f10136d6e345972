"""The asset `history`: a past session of the settings' symbols from Alpaca, and the check of our bars against its.

Reading and keeping belong to `lake.session_history`, the comparison to `domain.vendor_bars`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import dagster as dg

from stock_pipeline.domain.corporate_action import known_actions, names_of_history
from stock_pipeline.domain.vendor_bars import BarDifference, bar_differences, tolerance
from stock_pipeline.errors import PermanentError, RetryableError
from stock_pipeline.lake.session_bars import published_bars
from stock_pipeline.lake.session_failures import SessionFailures
from stock_pipeline.lake.session_history import HistoryProgress, SessionHistory, kept_bars
from stock_pipeline.lake.unpublished_sessions import raw_folders
from stock_pipeline.orchestration.alpaca import PRICE_API, alpaca_calls
from stock_pipeline.orchestration.owners import OWNERS
from stock_pipeline.orchestration.partitions import session_partitions
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.orchestration.trade_checks import sessions_of_run
from stock_pipeline.providers.alpaca.corporate_actions import SOURCE
from stock_pipeline.providers.alpaca.history import BURST_CALLS, CALLS_PER_MINUTE, AlpacaSession
from stock_pipeline.providers.client.token_bucket import TokenBucket
from stock_pipeline.providers.selection import feed_delay_seconds
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.producer import unreadable_message
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.wiring import Wiring

CHECK = "bars_agree_with_alpaca"

RETRIES = 3
RETRY_SECONDS = 60

_INSTEAD = "import files of those sessions with `stock-pipeline import`"
_PAGES_A_LINE = 20
_SHOWN = 100


def history_definitions(settings: Settings) -> dg.Definitions:
    partitions = session_partitions(settings.first_session, settings.feed)
    return dg.Definitions(assets=[history(partitions)], asset_checks=[bars_agree_with_alpaca()])


class HistoryConfig(dg.Config):
    """Options of a reading.

    symbols: in place of the settings' symbols and their former names, separated by commas.
    """

    symbols: str = ""


def history(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        name="history",
        partitions_def=partitions,
        group_name="lake",
        kinds={"s3", "parquet"},
        owners=OWNERS,
        code_version="1",
        pool=PRICE_API,
        # each session is done, or can be tried again, by itself
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
    )
    def fetched(
        context: dg.AssetExecutionContext, config: HistoryConfig, lake: LakeResource
    ) -> dg.MaterializeResult[None]:
        """A past session's trades and daily bars from Alpaca: the years before the first deployment, and gaps."""
        session_date = date.fromisoformat(context.partition_key)
        symbols = [part.strip() for part in config.symbols.split(",") if part.strip()]
        try:
            done, bars = fetch(lake.wiring, session_date, symbols, context.log.info)
        except PermanentError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        except RetryableError as error:
            raise dg.RetryRequested(RETRIES, RETRY_SECONDS * 2**context.retry_number) from error
        return dg.MaterializeResult(metadata=figures(done, bars))

    return fetched


def fetch(
    wiring: Wiring, session_date: date, symbols: Sequence[str], tell: Callable[[str], None]
) -> tuple[HistoryProgress, int]:
    """Read the session into the lake, and its bars beside it; return what was read, and the number of bars."""
    settings = wiring.settings
    asked = sorted(symbols or names_until_now(wiring))

    def on_page(progress: HistoryProgress) -> None:
        if progress.pages % _PAGES_A_LINE == 0:
            tell(f"session {session_date}: {progress.trades:,} trades on {progress.pages} pages")

    bucket = TokenBucket(BURST_CALLS, CALLS_PER_MINUTE, time.time_ns, time.sleep)
    into = SessionHistory(
        wiring.objects,
        session_date,
        settings.feed,
        parquet_bytes,
        lambda pieces: wiring.dead_letters.send([unreadable_message(piece) for piece in pieces]),
    )
    with alpaca_calls(wiring, "history comes", _INSTEAD, bucket) as client:
        source = AlpacaSession(client, asked, settings.feed, session_date, time.time_ns)
        done = into.read(source, time.time_ns() - feed_delay_seconds(settings.feed) * 10**9, on_page)
        bars = source.bars()
    into.keep_bars(bars, asked)
    wiring.unpublished_sessions().refresh(raw_folders(wiring.objects))
    return done, len(bars)


def names_until_now(wiring: Wiring) -> frozenset[str]:
    """Return the settings' symbols and the names that they had or got, as far as corporate actions are known."""
    return names_of_history(wiring.settings.symbols, known_actions(wiring.corporate_action_log().read(), SOURCE))


def figures(done: HistoryProgress, bars: int) -> dict[str, dg.MetadataValue]:
    counts = "\n".join(f"| {symbol} | {count:,} |" for symbol, count in sorted(done.symbols.items()))
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(done.trades),
        "pages": dg.MetadataValue.int(done.pages),
        "pages_of_an_earlier_run": dg.MetadataValue.int(done.resumed_at),
        "unreadable": dg.MetadataValue.int(done.unreadable),
        "symbols": dg.MetadataValue.md(f"| symbol | trades |\n|---|---|\n{counts}" if counts else "none"),
        "bars": dg.MetadataValue.int(bars),
    }


def bars_agree_with_alpaca() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="trades",
        name=CHECK,
        description="Daily bars of published trades are Alpaca's, where `history` has fetched those: within 0.01 % "
        "of a price and 0.2 % of the volume for the consolidated tape, 0.1 % and 1 % for one venue.",
    )
    def check(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> dg.AssetCheckResult:
        failures = SessionFailures()
        found: dict[date, list[BarDifference]] = {}
        for day in sessions_of_run(context.run.tags, lake.settings.feed):
            with failures.of(day):
                differences = compared(lake, day)
                if differences is not None:
                    found[day] = differences
        return check_result(found, str(failures))

    return check


def compared(lake: LakeResource, session_date: date) -> list[BarDifference] | None:
    """Return what differs; None where there is nothing to compare."""
    feed = lake.settings.feed
    vendors = kept_bars(lake.objects, session_date, feed)
    ours = published_bars(lake.partition(session_date), feed) if vendors is not None else None
    if vendors is None or ours is None:
        return None
    return bar_differences(ours, vendors.bars, vendors.asked, tolerance(feed))


def _agreement(sessions: int) -> str:
    # what was not compared must not read as if it were
    return f"the bars of {sessions} sessions agree" if sessions else "nothing compared: `history` has fetched no bars"


def check_result(found: Mapping[date, list[BarDifference]], failures: str) -> dg.AssetCheckResult:
    rows = [(day, difference) for day, differences in found.items() for difference in differences]
    sentences = [failures] if failures else []
    sentences += [
        f"{day} {each.symbol}: {each.what} is {each.ours}, Alpaca has {each.theirs}" for day, each in rows[:5]
    ]
    table = "\n".join(f"| {day} | {each.symbol} | {each.what} | {each.ours} | {each.theirs} |" for day, each in rows)
    return dg.AssetCheckResult(
        passed=not sentences,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(sentences) or _agreement(len(found)),
        metadata={
            "sessions": dg.MetadataValue.int(len(found)),
            "differing": dg.MetadataValue.int(len(rows)),
            "differences": dg.MetadataValue.md(
                "\n".join(
                    [
                        "| session | symbol | what | ours | Alpaca's |",
                        "|---|---|---|---|---|",
                        *table.split("\n")[:_SHOWN],
                    ]
                )
                if rows
                else "none"
            ),
        },
    )
