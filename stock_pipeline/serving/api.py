"""The read API, version 1: requests to answers. What they are in JSON is in `shapes`, and described in `openapi`."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from stock_pipeline.domain.conditions import table_of_tape
from stock_pipeline.domain.feed_session import feed_session_date
from stock_pipeline.domain.session import session_hours, trading_days
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.serving.board import encode, iso_ns
from stock_pipeline.serving.bodies import Body
from stock_pipeline.serving.events import Events
from stock_pipeline.serving.live_bar import LiveBar
from stock_pipeline.serving.openapi import openapi_document
from stock_pipeline.serving.parameters import (
    MOST_BARS,
    MOST_DAYS,
    check_names,
    date_of,
    feed_of,
    instant_of,
    size_of,
    symbol_of,
    symbols_of,
    whole_of,
)
from stock_pipeline.serving.service import Service
from stock_pipeline.serving.shapes import (
    Actions,
    Bar,
    Bars,
    Session,
    Sessions,
    Sparkline,
    Sparklines,
    TradeRow,
    Trades,
)
from stock_pipeline.serving.shown_alerts import shown_alerts
from stock_pipeline.serving.units import price_of, shares_of_units, vwap_of_units

PREFIX = "/api/v1"
_SESSIONS_SHOWN = 30
_MOST_SESSION_DAYS = 3_660
_MOST_CLOSES = 390
_MOST_BODIES = 1_000
_SECOND = "%Y-%m-%dT%H:%M:%SZ"


def routes(service: Service, events: Events) -> list[Route]:
    api = _Api(service, events)
    answers = {
        "/openapi.json": api.openapi,
        "/latest": api.latest,
        "/latest/{symbol}": api.latest_of,
        "/bars/{symbol}": api.bars,
        "/trades/{symbol}": api.trades,
        "/actions/{symbol}": api.actions,
        "/alerts": api.alerts,
        "/pipeline": api.pipeline,
        "/sparklines": api.sparklines,
        "/sessions": api.sessions,
        "/health": api.health,
        "/stream": api.stream,
    }
    return [Route(PREFIX + path, answer, methods=["GET"]) for path, answer in answers.items()]


class _Api:
    def __init__(self, service: Service, events: Events) -> None:
        self._service, self._events = service, events
        self._openapi = Body(encode(openapi_document()))

    async def openapi(self, request: Request) -> Response:
        return self._openapi.answer(request)

    async def latest(self, request: Request) -> Response:
        if request.query_params:
            check_names(request, ("symbols",))
        return self._service.board.body(symbols_of(request)).answer(request)

    async def latest_of(self, request: Request) -> Response:
        if request.query_params:
            check_names(request, ())
        symbol = symbol_of(request.path_params["symbol"])
        body = self._service.board.body((symbol,))
        if not self._service.board.feeds_of(symbol):
            raise HTTPException(404, f"{symbol} has no trades in the latest state")
        return body.answer(request)

    async def bars(self, request: Request) -> Response:
        check_names(request, ("feed", "size", "start", "end", "limit"))
        key = self._key(request)
        size, limit = size_of(request), whole_of(request, "limit", MOST_BARS, MOST_BARS)
        today = self._service.board.session_date or datetime.now(UTC).date()
        last = date_of(request, "end") or today
        since = instant_of(request, "start")
        first = (
            feed_session_date(since, key.feed)
            if since is not None
            else date_of(request, "start") or (last if size == "1m" else last - timedelta(days=365))
        )
        if first > last:
            raise HTTPException(400, f"start {first} lies after end {last}")
        if (last - first).days >= MOST_DAYS[size]:
            raise HTTPException(400, f"from start to end there are more than the {MOST_DAYS[size]} days of size {size}")
        # this dict, and none that a change puts in its place meanwhile
        bodies = self._service.live_bodies
        asked = key, size, first, last, since, limit
        body = bodies.get(asked)
        if body is None:
            bars = await run_in_threadpool(self._bars, key, size, first, last)
            body = _page_of_bars(key, size, bars, since, limit)
            session_date = self._service.board.session_date
            if session_date is not None and first >= session_date and len(bodies) < _MOST_BODIES:
                bodies[asked] = body
        return body.answer(request)

    def _bars(self, key: SymbolKey, size: str, first: date, last: date) -> list[Bar]:
        session_date = self._service.board.session_date
        bars: list[Bar] = []
        past = last if session_date is None else min(last, session_date - timedelta(days=1))
        if first <= past:
            read = self._service.history.minute_bars if size == "1m" else self._service.history.daily_bars
            bars = list(read(key, first, past))
        if session_date is not None and first <= session_date <= last:
            if size == "1m":
                bars += [shown_bar(bar, f"{_instant(bar.start_ns):{_SECOND}}") for bar in self._live(key)]
            elif (day := self._service.live_day(key)) is not None:
                bars.append(shown_bar(day, session_date.isoformat()))
        return bars

    def _live(self, key: SymbolKey) -> list[LiveBar]:
        return self._service.live_bars(key)

    async def trades(self, request: Request) -> Response:
        check_names(request, ("feed",))
        key = self._key(request)
        window = await run_in_threadpool(self._service.newest_trades, key)
        rows = [_shown_trade(trade) for trade in reversed(window)]
        return Body(encode(Trades(key.symbol, key.feed, rows))).answer(request)

    async def actions(self, request: Request) -> Response:
        check_names(request, ())
        symbol = symbol_of(request.path_params["symbol"])
        actions = await run_in_threadpool(self._service.facts.actions.get)
        return Body(encode(Actions(symbol, actions.get(symbol, [])))).answer(request)

    async def alerts(self, request: Request) -> Response:
        check_names(request, ())
        return Body(encode(shown_alerts(self._service.alerts, self._service.board.quotes))).answer(request)

    async def pipeline(self, request: Request) -> Response:
        check_names(request, ())
        return Body(encode(await run_in_threadpool(self._service.facts.pipeline.get))).answer(request)

    async def sparklines(self, request: Request) -> Response:
        check_names(request, ("symbols", "count"))
        wanted, count = symbols_of(request), whole_of(request, "count", 60, _MOST_CLOSES)
        if not wanted:
            raise HTTPException(400, "symbols is missing: name some, separated by commas")
        keys = [key for key in self._service.board.quotes if key.symbol in wanted]
        closes = await run_in_threadpool(self._service.closes, keys, count)
        lines = [Sparkline(*key, [price for each in some if (price := price_of(each))]) for key, some in closes.items()]
        return Body(encode(Sparklines(lines))).answer(request)

    async def sessions(self, request: Request) -> Response:
        check_names(request, ("start", "end"))
        last = date_of(request, "end") or self._service.board.session_date or datetime.now(UTC).date()
        first = date_of(request, "start") or last - timedelta(days=_SESSIONS_SHOWN)
        if first > last:
            raise HTTPException(400, f"start {first} lies after end {last}")
        if (last - first).days >= _MOST_SESSION_DAYS:
            raise HTTPException(400, f"from start to end there are more than {_MOST_SESSION_DAYS} days")
        sessions = [_session(day) for day in trading_days(first, last)]
        return Body(encode(Sessions(sessions))).answer(request)

    async def health(self, request: Request) -> Response:
        check_names(request, ())
        return Response(
            encode(self._service.health()), media_type="application/json", headers={"Cache-Control": "no-store"}
        )

    async def stream(self, request: Request) -> Response:
        check_names(request, ("symbols",))
        text = request.headers.get("last-event-id", "")
        after = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
        stream = self._events.stream(after, frozenset(symbols_of(request)))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    def _key(self, request: Request) -> SymbolKey:
        """Return the symbol with the asked feed, or the only one it has."""
        symbol, feed = symbol_of(request.path_params["symbol"]), feed_of(request)
        if feed is not None:
            return SymbolKey(symbol, feed)
        feeds = self._service.board.feeds_of(symbol)
        if not feeds:
            raise HTTPException(404, f"{symbol} has no trades in the latest state: name its feed to ask for older ones")
        if len(feeds) > 1:
            raise HTTPException(400, f"{symbol} is in several feeds: say feed={' or feed='.join(feeds)}")
        return SymbolKey(symbol, feeds[0])


def _page_of_bars(key: SymbolKey, size: str, bars: list[Bar], since: int | None, limit: int) -> Body:
    if since is not None:
        bars = [bar for bar in bars if bar.time >= f"{_instant(since):{_SECOND}}"]
    count = limit
    # the bars of one minute stay together, because the next page begins with a minute
    while 0 < count < len(bars) and bars[count].time == bars[count - 1].time:
        count += 1
    page, more = bars[:count], bars[count:]
    following = more[0].time if more else None
    return Body(encode(Bars(key.symbol, key.feed, size, page, following)))


def shown_bar(bar: LiveBar, time: str) -> Bar:
    return Bar(
        time,
        price_of(bar.open),
        price_of(bar.high),
        price_of(bar.low),
        price_of(bar.close),
        shares_of_units(bar.volume),
        vwap_of_units(bar.turnover, bar.priced_volume),
        bar.trade_count,
        bar.part or None,
    )


def _shown_trade(trade: Trade) -> TradeRow:
    table = table_of_tape(trade.tape)
    names = [table[code].name if code in table else f"unknown code {code}" for code in trade.conditions]
    return TradeRow(
        trade.event_id,
        iso_ns(trade.event_time_ns),
        trade.price,
        None if trade.volume is None else Decimal(trade.volume),
        trade.exchange,
        trade.conditions,
        names,
        trade.status,
        trade.version,
    )


def _session(day: date) -> Session:
    hours = session_hours(day)
    assert hours is not None
    return Session(day, _instant(hours.open_ns), _instant(hours.close_ns), hours.is_half_day)


def _instant(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 10**9, UTC)
