"""Trades as vendors write them into files: a writer for each format, and what is read back."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import strategies as st

from stock_pipeline.files.checks import BadRow
from stock_pipeline.files.file_format import Declared
from stock_pipeline.files.reading import TradeFile

NEW_YORK = ZoneInfo("America/New_York")
OPEN_NS = 1_704_292_200_000_000_000
"""2024-01-03 09:30 in New York."""


class Print(NamedTuple):
    """A print in the values that every format can hold. time_ns: UTC."""

    symbol: str
    time_ns: int
    price: str
    size: int
    exchange: str
    conditions: str
    sequence: int


def _price_text(units: int) -> str:
    return f"{units // 10**6}.{units % 10**6:06}"


def _prints_from(least: int) -> st.SearchStrategy[list[Print]]:
    """Draw prints whose prices lie within a decade, as a file has that isn't refused for two units."""
    return st.lists(
        st.builds(
            Print,
            symbol=st.sampled_from(["A", "ABCD", "BRK.B", "NA", "TRUE"]),
            time_ns=st.integers(0, 23_000 * 10**9).map(lambda after: OPEN_NS + after),
            price=st.integers(least, 10 * least).map(_price_text),
            size=st.integers(0, 10**9),
            exchange=st.sampled_from("PDQ"),
            conditions=st.sampled_from(["", "F", "FI", "T"]),
            sequence=st.integers(1, 10**9),
        ),
        min_size=1,
        max_size=20,
    )


prints = st.integers(1, 10**11).flatmap(_prints_from)


def read_file(
    path: Path, name: str = "", feed: str = "", declared: Declared | None = None
) -> tuple[pl.DataFrame, list[BadRow]]:
    """All trades of a file, and the rows that are none."""
    trades, bad = [], []
    for batch in TradeFile.open(path, name, feed, declared).batches():
        trades += [] if batch.trades is None else [batch.trades]
        bad += batch.bad
    return pl.concat(trades) if trades else pl.DataFrame(), bad


def local(time_ns: int) -> tuple[str, str]:
    """Date and time of day in New York, to the nanosecond."""
    moment = datetime.fromtimestamp(time_ns // 10**9, UTC).astimezone(NEW_YORK)
    return f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}.{time_ns % 10**9:09}"


def session_csv(prints: Sequence[Print]) -> str:
    rows = [
        f"{datetime.fromtimestamp(p.time_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{p.time_ns % 10**9:09}Z,{p.symbol},"
        f"{p.price},{p.size},{p.exchange},{p.conditions},0,{p.sequence}"
        for p in prints
    ]
    return _lines("event_time,symbol,price,size,exchange,sale_condition,correction,sequence", rows)


def nyse_taq(prints: Sequence[Print]) -> str:
    rows = []
    for p in prints:
        time = local(p.time_ns)[1].replace(":", "").replace(".", "")
        rows.append(
            f"{time}|{p.exchange}|{p.symbol.replace('.', ' ')}|{p.conditions}|{p.size}|{p.price}||00|{p.sequence}|"
            f"7|N| |{time}||0"
        )
    names = (
        "Time|Exchange|Symbol|Sale Condition|Trade Volume|Trade Price|Trade Stop Stock Indicator|"
        "Trade Correction Indicator|Sequence Number|Trade Id|Source of Trade|Trade Reporting Facility|"
        "Participant Timestamp|Trade Reporting Facility TRF Timestamp|Trade Through Exempt Indicator"
    )
    return _lines(names, [*rows, f"END|20240103|{len(rows)}||||||||||||"])


def wrds(prints: Sequence[Print]) -> str:
    rows = []
    for p in prints:
        day, time = local(p.time_ns)
        root, _, suffix = p.symbol.partition(".")
        rows.append(
            f"{day},{time},{p.exchange},{root},{suffix},{p.conditions},{p.size},{p.price},,00,{p.sequence}.0,N,"
        )
    return _lines(
        "DATE,TIME_M,EX,SYM_ROOT,SYM_SUFFIX,TR_SCOND,SIZE,PRICE,TR_STOPIND,TR_CORR,TR_SEQNUM,TR_SOURCE,TR_RF", rows
    )


def wrds_monthly(prints: Sequence[Print]) -> str:
    rows = []
    for p in prints:
        day, time = local(p.time_ns)
        rows.append(
            f"{p.symbol},{day.replace('-', '')},{time[:8].lstrip('0')},{p.price},{p.size},0,0,{p.conditions},"
            f"{p.exchange}"
        )
    return _lines("SYMBOL,DATE,TIME,PRICE,SIZE,G127,CORR,COND,EX", rows)


MASSIVE_NUMBERS = {"": "", "F": "14", "FI": "14,37", "T": "12"}


def massive(prints: Sequence[Print]) -> str:
    rows = [
        f'{p.symbol},"{MASSIVE_NUMBERS[p.conditions]}",0,{p.exchange},{p.sequence},{p.time_ns},{p.price},{p.sequence},'
        f"{p.time_ns},{p.size},3,0,0"
        for p in prints
    ]
    return _lines(
        "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,sip_timestamp,size,tape,"
        "trf_id,trf_timestamp",
        rows,
    )


def databento(prints: Sequence[Print]) -> str:
    rows = [
        f"{p.time_ns},{p.time_ns},0,2,1,T,B,0,{p.price}.000000000,{p.size},0,1,{p.sequence},{p.symbol}"
        if "." not in p.price
        else f"{p.time_ns},{p.time_ns},0,2,1,T,B,0,{p.price}000,{p.size},0,1,{p.sequence},{p.symbol}"
        for p in prints
    ]
    return _lines(
        "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,flags,ts_in_delta,sequence,symbol",
        rows,
    )


ALGOSEEK_BITS = {"": "00000001", "F": "00000020", "FI": "80000020", "T": "00000400"}


def algoseek(prints: Sequence[Print], event: str = "TRADE") -> str:
    rows = []
    for p in prints:
        day, time = local(p.time_ns)
        bits = ALGOSEEK_BITS[p.conditions]
        rows.append(f"{day.replace('-', '')},{time},{event},{p.symbol},{p.price},{p.size},{p.exchange},{bits}")
    return _lines("Date,Timestamp,EventType,Ticker,Price,Quantity,Exchange,Conditions", rows)


def dbn(prints: Sequence[Print], folder: Path) -> Path:
    """Write Databento's binary file, each symbol an instrument by its number."""
    from databento_dbn import Action, Metadata, Schema, Side, SType, TradeMsg

    names = sorted({p.symbol for p in prints})
    days = SimpleNamespace(start_date=date(2024, 1, 1), end_date=date(2024, 2, 1))
    head = Metadata(
        dataset="XNAS.ITCH",
        start=min(p.time_ns for p in prints),
        stype_in=SType.from_str("raw_symbol"),
        stype_out=SType.from_str("instrument_id"),
        schema=Schema.from_str("trades"),
        symbols=names,
        mappings=[
            SimpleNamespace(
                raw_symbol=name, native_symbol=name, intervals=[SimpleNamespace(**vars(days), symbol=str(number))]
            )
            for number, name in enumerate(names, 1)
        ],
    )
    records = [
        TradeMsg(
            publisher_id=2,
            instrument_id=1 + names.index(p.symbol),
            ts_event=p.time_ns,
            price=int(Decimal(p.price) * 10**9),
            size=p.size,
            action=Action.from_str("T"),
            side=Side.from_str("B"),
            depth=0,
            ts_recv=p.time_ns,
            sequence=p.sequence,
        )
        for p in prints
    ]
    path = folder / "trades.dbn"
    path.write_bytes(bytes(head) + b"".join(map(bytes, records)))
    return path


def alpaca(prints: Sequence[Print]) -> str:
    trades: dict[str, list[str]] = {}
    for p in prints:
        day = f"{datetime.fromtimestamp(p.time_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%S}.{p.time_ns % 10**9:09}Z"
        trades.setdefault(p.symbol, []).append(
            f'{{"t": "{day}", "x": "{p.exchange}", "p": {p.price}, "s": {p.size}, '
            f'"c": {json.dumps(list(p.conditions))}, "i": {p.sequence}, "z": "C"}}'
        )
    inside = ", ".join(f'"{symbol}": [{", ".join(rows)}]' for symbol, rows in trades.items())
    return f'{{"trades": {{{inside}}}, "next_page_token": null}}'


WRITERS: dict[str, Callable[[Sequence[Print]], str]] = {
    "session": session_csv,
    "nyse-taq": nyse_taq,
    "wrds": wrds,
    "wrds-monthly": wrds_monthly,
    "massive": massive,
    "databento": databento,
    "alpaca": alpaca,
    "algoseek": algoseek,
}


def _lines(names: str, rows: Sequence[str]) -> str:
    return "\n".join([names, *rows, ""])
