"""The formats with a line of column names. What each keeps and loses: docs/files.md."""

import polars as pl

from stock_pipeline.errors import InputFileError
from stock_pipeline.files.algoseek import algoseek
from stock_pipeline.files.condition_codes import MASK, MASSIVE, NONE, TAPE
from stock_pipeline.files.file_format import Declared, FileFormat
from stock_pipeline.files.values import (
    clock_ns,
    day_of,
    instant_ns,
    instant_of_number,
    local_ns,
    packed_clock_ns,
    text,
    whole_number,
)

_TAPES = {"1": "A", "2": "B", "3": "C"}
_NO_TEXT = pl.lit("")
_NO_ID = pl.lit(None, pl.String)
_NO_NUMBER = pl.lit(None, pl.Int64)


def _symbol(name: str) -> pl.Expr:
    """Put a dot for the blank before a class of shares."""
    return text(name).str.replace_all(r"\s+", ".")


def _code(name: str) -> pl.Expr:
    """Take a number that went through a table of floats, 3.0, for the code that it was."""
    return text(name).str.replace(r"^(\d+)\.0+$", "$1")


def _session(rows: pl.DataFrame, _declared: Declared) -> pl.DataFrame:
    return rows.select(
        symbol=_symbol("symbol"),
        event_time_ns=instant_ns(rows, "event_time"),
        sequence=whole_number("sequence"),
        trade_id=whole_number("sequence").cast(pl.String),
        price=text("price"),
        volume=text("size"),
        exchange=text("exchange"),
        conditions=pl.col("sale_condition"),
        tape=_NO_TEXT,
        correction=text("correction"),
    )


def _nyse(rows: pl.DataFrame, declared: Declared) -> pl.DataFrame:
    if declared.file_date is None:
        raise InputFileError("rows of NYSE TAQ have no date, nor has the file's name: say it with --date 2018-01-02")
    clock = packed_clock_ns(rows, "time")
    if "participant timestamp" in rows.columns:
        clock = pl.coalesce(packed_clock_ns(rows, "participant timestamp"), clock)
    return rows.select(
        symbol=_symbol("symbol"),
        event_time_ns=local_ns(pl.lit(declared.file_date), clock),
        sequence=whole_number("sequence number"),
        trade_id=whole_number("sequence number").cast(pl.String),
        price=text("trade price"),
        volume=text("trade volume"),
        exchange=text("exchange"),
        conditions=pl.col("sale condition"),
        tape=_NO_TEXT,
        correction=text("trade correction indicator"),
    )


def _wrds(rows: pl.DataFrame, _declared: Declared) -> pl.DataFrame:
    # what tables write for no value, once it has become text
    suffix = text("sym_suffix").fill_null("").replace(["nan", "NaN", "None", "null", "<NA>"], "")
    return rows.select(
        symbol=pl.when(suffix == "").then(text("sym_root")).otherwise(text("sym_root") + "." + suffix),
        event_time_ns=local_ns(day_of(rows, "date"), clock_ns(rows, "time_m")),
        sequence=whole_number("tr_seqnum"),
        trade_id=whole_number("tr_seqnum").cast(pl.String),
        price=text("price"),
        volume=text("size"),
        exchange=text("ex"),
        conditions=pl.col("tr_scond"),
        tape=_NO_TEXT,
        correction=text("tr_corr"),
    )


def _wrds_monthly(rows: pl.DataFrame, _declared: Declared) -> pl.DataFrame:
    return rows.select(
        symbol=_symbol("symbol"),
        event_time_ns=local_ns(day_of(rows, "date"), clock_ns(rows, "time")),
        sequence=_NO_NUMBER,
        trade_id=_NO_ID,
        price=text("price"),
        volume=text("size"),
        exchange=text("ex"),
        conditions=pl.col("cond"),
        tape=_NO_TEXT,
        correction=text("corr"),
    )


def _massive(rows: pl.DataFrame, _declared: Declared) -> pl.DataFrame:
    facility = _code("trf_id").fill_null("").replace("0", "")
    return rows.select(
        symbol=text("ticker"),
        event_time_ns=instant_of_number("participant_timestamp"),
        sequence=whole_number("sequence_number"),
        # a corrected copy is a row of its own under the same id
        trade_id=facility + "-" + _code("id") + "-" + _code("sequence_number"),
        price=text("price"),
        volume=text("size"),
        exchange=_code("exchange"),
        conditions=text("conditions"),
        tape=_code("tape").replace(_TAPES),
        correction=text("correction"),
    )


def _databento(rows: pl.DataFrame, declared: Declared) -> pl.DataFrame:
    price = text("price")
    raw = price.str.contains(r"^\d+$")
    if declared.price_scale is None and rows.select(raw.any()).item():
        raise InputFileError("prices are Databento's raw integers: say so, with --scale 9")
    event_time_ns = pl.coalesce(instant_of_number("ts_event"), instant_ns(rows, "ts_event"))
    return rows.select(
        symbol=text("symbol"),
        event_time_ns=event_time_ns,
        sequence=whole_number("sequence"),
        trade_id=_NO_ID,
        price=price,
        volume=text("size"),
        exchange=_code("publisher_id"),
        conditions=_NO_TEXT,
        tape=_NO_TEXT,
        correction=_NO_TEXT,
    )


MAPPABLE = ("time", "date", "symbol", "price", "size", "exchange", "conditions", "correction", "sequence", "id", "tape")


def _mapped(rows: pl.DataFrame, declared: Declared) -> pl.DataFrame:
    """Read columns by what the user says each is; `time` is an instant, or a time of day beside `date`."""
    of = {ours: theirs.lower() for ours, theirs in declared.columns.items()}
    lacking = sorted(set(of.values()) - set(rows.columns))
    if lacking:
        raise InputFileError(f"--map names {', '.join(lacking)}, which is no column of the file")
    if not {"time", "price", "size"} <= set(of) or ("symbol" in of) == bool(declared.symbol):
        raise InputFileError(
            "--map has to name time, price and size at least, as in --map price=last, and symbol, or --symbol says it"
        )
    if not declared.zone:
        raise InputFileError("say which zone the times are in: --zone America/New_York, or --zone UTC")
    if "date" in of:
        event_time_ns = local_ns(day_of(rows, of["date"]), clock_ns(rows, of["time"]), declared.zone)
    else:
        event_time_ns = pl.coalesce(
            instant_ns(rows, of["time"]), instant_ns(rows, of["time"], declared.zone), instant_of_number(of["time"])
        )
    sequence = whole_number(of["sequence"]) if "sequence" in of else _NO_NUMBER
    return rows.select(
        symbol=_symbol(of["symbol"]) if "symbol" in of else pl.lit(declared.symbol),
        event_time_ns=event_time_ns,
        sequence=sequence,
        trade_id=text(of["id"]) if "id" in of else sequence.cast(pl.String),
        price=text(of["price"]),
        volume=text(of["size"]),
        exchange=text(of["exchange"]) if "exchange" in of else _NO_TEXT,
        conditions=pl.col(of["conditions"]) if "conditions" in of else _NO_TEXT,
        tape=text(of["tape"]).replace(_TAPES) if "tape" in of else _NO_TEXT,
        correction=text(of["correction"]) if "correction" in of else _NO_TEXT,
    )


def _columns(names: str) -> frozenset[str]:
    return frozenset(names.split(","))


MAPPED = FileFormat("mapped", frozenset(), "file", TAPE, _mapped, doubted_from=1)

FORMATS = (
    FileFormat(
        "session",
        _columns("event_time,symbol,price,size,exchange,sale_condition,correction,sequence"),
        "taq",
        TAPE,
        _session,
        doubted_from=1_000,
    ),
    FileFormat(
        "nyse-taq",
        _columns(
            "time,exchange,symbol,sale condition,trade volume,trade price,trade correction indicator,sequence number"
        ),
        "taq",
        TAPE,
        _nyse,
        delimiter="|",
        quoted=False,
        trailer="END",
        price="trade price",
    ),
    FileFormat(
        "wrds", _columns("date,time_m,ex,sym_root,sym_suffix,tr_scond,size,price,tr_corr,tr_seqnum"), "taq", TAPE, _wrds
    ),
    FileFormat("wrds-monthly", _columns("symbol,date,time,price,size,corr,cond,ex"), "taq", TAPE, _wrds_monthly),
    FileFormat(
        "massive",
        _columns(
            "ticker,conditions,correction,exchange,id,participant_timestamp,price,sequence_number,size,tape,trf_id"
        ),
        "sip",
        MASSIVE,
        _massive,
    ),
    FileFormat(
        "databento",
        _columns("ts_event,publisher_id,action,price,size,sequence,symbol"),
        "databento",
        NONE,
        _databento,
        only=("action", ("T",)),
    ),
    algoseek(MASK),
    MAPPED,
)
