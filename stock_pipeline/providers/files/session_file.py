"""Session files: a recorded session as Parquet or CSV, with the columns of `sample/README.md`.

What a row means belongs to `replay`.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from stock_pipeline.domain.feed_session import session_rule
from stock_pipeline.domain.price_scale import mixed_scale
from stock_pipeline.errors import InputFileError
from stock_pipeline.files.condition_codes import TAPE, WrongAlphabetError, letters_of
from stock_pipeline.providers.files.price_levels import price_levels
from stock_pipeline.trade_table import session_days_of_rule

CSV_TYPES = {
    "event_time": pa.timestamp("ns", tz="UTC"),
    "symbol": pa.string(),
    # read as text, so that a row with too many places is refused and not the whole file
    "price": pa.string(),
    "size": pa.string(),
    "exchange": pa.string(),
    "sale_condition": pa.string(),
    "correction": pa.string(),
    "sequence": pa.int64(),
}

COLUMNS = tuple(CSV_TYPES)

_FORMS = CSV_TYPES | {"price": None, "size": None}
"""Prices and sizes keep their types: text and decimals are exact, a double has the places it was written with."""

_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)

_NUMBERS = (*_TEXTS, pa.types.is_decimal, pa.types.is_floating, pa.types.is_integer)

CSV_SUFFIXES = (".csv", ".csv.gz")


def read_session_file(path: Path, feed: str = "taq") -> pa.Table:
    """Return the columns of a session file, event_time as int64 nanoseconds UTC; raises `InputFileError`.

    A name that ends in .csv or .csv.gz is read as CSV, any other as Parquet.
    """
    table = _read_csv(path) if path.name.lower().endswith(CSV_SUFFIXES) else _read_parquet(path)
    repeated = sorted({name for name in COLUMNS if table.column_names.count(name) > 1})
    if repeated:
        raise InputFileError(f"{path} has more than one column {', '.join(repeated)}: keep one of them")
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputFileError(f"{path} lacks {', '.join(missing)}; a session file has {', '.join(COLUMNS)}")
    table = table.select(COLUMNS)
    _check_types(path, table.schema)
    for place, (name, kind) in enumerate(_FORMS.items()):
        table = table.set_column(place, name, _as(path, name, table[name], kind))
    table = table.set_column(0, "event_time", table["event_time"].cast(pa.int64()))
    _check_alphabet(path, table)
    _check_sequence_is_a_key(path, table, feed)
    found = mixed_scale(price_levels(table))
    if found:
        raise InputFileError(
            f"{path}: prices of {found.symbol} jump by {found.factor:,} against each other, as if some rows were in "
            "another unit: write all prices in dollars"
        )
    return table


def _read_parquet(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, partitioning=None)
    except FileNotFoundError:
        raise InputFileError(f"{path} does not exist") from None
    except (pa.ArrowException, OSError) as error:
        raise InputFileError(f"{path} can't be read as Parquet: {_first_line(error)}") from None


def _read_csv(path: Path) -> pa.Table:
    try:
        return pa_csv.read_csv(
            path,
            convert_options=pa_csv.ConvertOptions(
                column_types=CSV_TYPES,
                # only an empty field is null, because NA and NULL are ticker symbols
                null_values=[""],
                strings_can_be_null=True,
                timestamp_parsers=[pa_csv.ISO8601],
            ),
        )
    except FileNotFoundError:
        raise InputFileError(f"{path} does not exist") from None
    except (pa.ArrowException, OSError) as error:
        raise InputFileError(
            f"{path} can't be read as the CSV of a session: {_first_line(error)}; "
            "stock_pipeline/providers/files/sample/README.md describes the columns"
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _check_types(path: Path, schema: pa.Schema) -> None:
    event_time = schema.field("event_time").type
    if not pa.types.is_timestamp(event_time) or event_time.tz is None:
        raise InputFileError(f"{path}: event_time is {event_time}; it takes timestamps with a time zone (UTC)")
    if not pa.types.is_integer(schema.field("sequence").type):
        raise InputFileError(f"{path}: sequence is {schema.field('sequence').type}; it takes whole numbers")
    if pa.types.is_integer(schema.field("price").type):
        raise InputFileError(
            f"{path}: price is {schema.field('price').type}, whose unit is not known: write prices in dollars, as "
            "decimals or doubles"
        )
    for name in ("price", "size"):
        kind = schema.field(name).type
        if not any(is_number(_values_of(kind)) for is_number in _NUMBERS):
            raise InputFileError(f"{path}: {name} is {kind}; it takes numbers")
    for name in ("symbol", "exchange", "sale_condition"):
        kind = schema.field(name).type
        if not any(is_text(_values_of(kind)) for is_text in _TEXTS):
            raise InputFileError(f"{path}: {name} is {kind}; it takes text")


def _values_of(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _as(path: Path, name: str, column: pa.ChunkedArray, kind: pa.DataType | None) -> pa.ChunkedArray:
    if kind is None and pa.types.is_floating(column.type) and column.type != pa.float64():
        kind = pa.string()  # the shortest: 157.04 as a float of 32 bits is 157.039993 in 64
    if kind is None or column.type == kind:
        return column
    try:
        return pc.cast(column, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputFileError(f"{path}: {name} has a value that can't be used: {_first_line(error)}") from None


def _check_alphabet(path: Path, table: pa.Table) -> None:
    prints = table.select(["sale_condition", "exchange"]).group_by(["sale_condition", "exchange"]).aggregate([])
    for row in prints.to_pylist():
        try:
            letters_of(row["sale_condition"] or "", "", (row["exchange"] or "").strip(), TAPE)
        except WrongAlphabetError as error:
            raise InputFileError(f"{path}: {error}: `stock-pipeline import` reads vendors' own codes") from None


def _check_sequence_is_a_key(path: Path, table: pa.Table, feed: str) -> None:
    times = pc.fill_null(table["event_time"], 0).to_numpy()
    days = pa.array(session_days_of_rule(times, session_rule(feed)))
    rows = table.select(["symbol", "sequence"]).append_column("session", days)
    keys = rows.group_by(["symbol", "session", "sequence"]).aggregate([([], "count_all")])
    if keys.num_rows < table.num_rows:
        repeated = keys.filter(pc.greater(keys["count_all"], 1)).slice(0, 1).to_pylist()[0]
        raise InputFileError(
            f"{path}: symbol {repeated['symbol']} has sequence {repeated['sequence']} {repeated['count_all']} times "
            "in one session; every row of a symbol needs its own, or real trades could not be told from repeats"
        )
