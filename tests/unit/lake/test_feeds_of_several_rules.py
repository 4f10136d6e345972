"""One partition with trades of the exchange, of the night before it, and of a market that never closes."""

from datetime import datetime
from itertools import product
from zoneinfo import ZoneInfo

import duckdb
import pytest
import sqlglot

from stock_pipeline.aws.athena_compaction import within_session_condition
from stock_pipeline.domain.feed_session import feed_session_date
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import UnreadableInputError
from stock_pipeline.lake.published_rows import published_findings
from tests.support.lake import SESSION, Lake
from tests.support.trades import trade

NEW_YORK = ZoneInfo("America/New_York")

OF_THE_SESSION = (
    ("boats", "2017-12-29 20:00"),  # Friday evening: the Monday between is New Year's Day
    ("overnight_24x", "2018-01-01 20:30"),
    ("crypto", "2018-01-01 19:00"),
    ("sip", "2018-01-02 00:00"),
    ("sip", "2018-01-02 23:59:59"),
    ("boats", "2018-01-02 19:59:59"),
    ("crypto", "2018-01-02 18:59:59"),
)
OF_OTHERS = (
    ("boats", "2018-01-02 20:00"),
    ("boats", "2017-12-29 19:59:59"),
    ("crypto", "2018-01-02 19:00"),
    ("sip", "2018-01-01 20:30"),
)


def ns(moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=NEW_YORK).timestamp()) * 10**9


def made(number: int, feed: str, moment: str) -> Trade:
    symbol = "AB"[number % 2]
    return trade(number, event_id=f"{feed}:{number}", feed=feed, symbol=symbol, event_time_ns=ns(moment))


def test_a_partition_takes_the_trades_of_each_feeds_own_session(lake: Lake) -> None:
    rows = [made(number, *one) for number, one in enumerate(OF_THE_SESSION)]
    lake.add(rows[::2], 1)
    lake.add(rows[1::2], 2)
    lake.compactor.compact(SESSION)
    assert lake.read() == sorted(rows, key=lambda row: (row.symbol, row.event_time_ns))
    findings = published_findings(lake.compactor.partition(SESSION))
    assert findings is not None
    assert (findings.rows, dict(findings.bad)) == (len(rows), {})


@pytest.mark.parametrize("stranger", OF_OTHERS)
def test_a_trade_of_another_session_of_its_feed_is_refused(stranger: tuple[str, str], lake: Lake) -> None:
    lake.add([made(0, *OF_THE_SESSION[0]), made(1, *stranger)], 1)
    with pytest.raises(UnreadableInputError, match="1 rows are not of session"):
        lake.compactor.compact(SESSION)


def test_athenas_condition_is_the_rule() -> None:
    condition = sqlglot.transpile(within_session_condition(SESSION), read="athena", write="duckdb")[0]
    feeds = ("boats", "overnight", "overnight_24x", "overnights", "crypto", "crypto_x", "cryptox", "sip")
    moments = [ns(moment) for _, moment in (*OF_THE_SESSION, *OF_OTHERS)]
    for feed, event_time_ns in product(feeds, moments):
        sql = f"SELECT {condition} FROM (SELECT ? AS feed, ? AS event_time_ns)"
        found = duckdb.execute(sql, [feed, event_time_ns]).fetchone()
        assert found == (feed_session_date(event_time_ns, feed) == SESSION,), (feed, event_time_ns)
