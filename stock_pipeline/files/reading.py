"""Reads a file of any known format as trades, a batch at a time, and sets rows aside that can't be read."""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import IO, Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from stock_pipeline.domain.trade import FEED
from stock_pipeline.errors import InputFileError
from stock_pipeline.files.alpaca_pages import ALPACA, page_batches
from stock_pipeline.files.checks import BadRow, Batch, checked
from stock_pipeline.files.containers import unpacked
from stock_pipeline.files.dbn import MAGIC, dbn_text
from stock_pipeline.files.file_format import Declared, FileFormat
from stock_pipeline.files.formats import FORMATS, MAPPED
from stock_pipeline.files.parquet_text import parquet_batches, parquet_schema
from stock_pipeline.files.price_levels import PriceLevels
from stock_pipeline.files.trailer import Trailer
from stock_pipeline.files.unit_and_alphabet import UnitAndAlphabet
from stock_pipeline.files.values import scaled

NAMES = tuple(form.name for form in (*FORMATS, ALPACA))
BLOCK_BYTES = 16 * 1024 * 1024
_HEAD_BYTES = 64 * 1024
_DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12]\d|3[01])(?!\d)")


class Verdict(NamedTuple):
    """Which format a file has. container: csv, parquet, json or dbn. columns: as the file writes them."""

    form: FileFormat
    container: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TradeFile:
    """A file, what it is, and what its user declared."""

    path: Path
    verdict: Verdict
    declared: Declared
    feed: str

    @classmethod
    def open(cls, path: Path, name: str = "", feed: str = "", declared: Declared | None = None) -> "TradeFile":
        """Tell the format by name, or by the file's first bytes; raises `InputFileError` with what to type."""
        declared = declared or Declared()
        verdict = detect(path, name, declared)
        feed = feed or verdict.form.feed
        if not feed:
            raise InputFileError(f"{path}: its rows may be of several feeds: say which with --feed sip, or --feed iex")
        if not FEED.fullmatch(feed):
            raise InputFileError(f"--feed {feed} can't be used: it takes up to 16 of a-z, 0-9 and _, as in --feed sip")
        if declared.file_date is None:
            declared = replace(declared, file_date=_day_in_name(path.name))
        return cls(path, verdict, declared, feed)

    def batches(self) -> Iterator[Batch]:
        """Yield rows as trades, and beside them the rows that can't be read.

        Raises `InputFileError` if the file ends too early, or breaks a rule of its format as a whole. So nothing may be
        believed before the last batch.
        """
        form = self.verdict.form
        levels = PriceLevels()
        told = UnitAndAlphabet(self.declared, form.doubted_from or 0, self.verdict.container == "csv")
        with unpacked(self.path) as stream:
            bad_lines: list[BadRow] = []
            column, values = form.only
            for rows in self._text_batches(stream, bad_lines):
                if column:
                    rows = rows.filter(pl.col(column).str.strip_chars().is_in(values))
                try:
                    converted = form.convert(rows, self.declared)
                    if form.doubted_from:
                        told.add(converted)
                    if self.declared.price_scale is not None:
                        price = scaled(converted["price"], self.declared.price_scale)
                        converted = converted.with_columns(price=price)
                    batch = checked(rows, converted, self.declared.alphabet or form.alphabet, self.feed)
                except InputFileError as error:
                    raise InputFileError(f"{self.path}: {error}") from None
                if batch.trades is not None:
                    levels.add(batch.trades)
                yield Batch(batch.trades, [*bad_lines, *batch.bad])
                bad_lines.clear()
            if bad_lines:
                yield Batch(None, bad_lines)
        told.check(self.path)
        levels.check(self.path)

    def _text_batches(self, stream: IO[bytes], bad: list[BadRow]) -> Iterator[pl.DataFrame]:
        if self.verdict.container == "parquet":
            yield from parquet_batches(self.path)
        elif self.verdict.container == "json":
            yield from page_batches(self.path, stream)
        elif self.verdict.container == "dbn":
            yield from _csv_batches(dbn_text(stream), self.verdict, bad, Trailer("", ","))
        else:
            trailer = Trailer(self.verdict.form.trailer, self.verdict.form.delimiter)
            yield from _csv_batches(stream, self.verdict, bad, trailer)
            trailer.check(self.path)


def detect(path: Path, name: str, declared: Declared) -> Verdict:
    """Return the file's format; raises `InputFileError` that names candidates if it is none or several."""
    with unpacked(path) as stream:
        head = bytes(stream.read(_HEAD_BYTES)).removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        raise InputFileError(f"{path} is empty")
    if head[:4] == b"PAR1":
        schema = parquet_schema(path)
        columns = tuple(schema.names)
        form = _form_of(path, columns, name, declared)
        _check_price(path, schema, declared.columns.get("price", form.price).lower(), declared)
        return Verdict(form, "parquet", columns)
    if head.lstrip()[:1] in (b"{", b"["):
        if name not in ("", ALPACA.name):
            raise InputFileError(f"{path} is JSON, which --format {name} is not")
        return Verdict(ALPACA, "json")
    if head.startswith(MAGIC):
        with unpacked(path) as stream:
            columns = tuple(dbn_text(stream).readline().decode().strip().split(","))
        return Verdict(_form_of(path, columns, name, declared), "dbn", columns)
    try:
        line = head.split(b"\n")[0].rstrip(b"\r").decode()
    except UnicodeDecodeError:
        raise InputFileError(f"{path} is no text, Parquet or JSON") from None
    by_delimiter = {each: tuple(cell.strip().strip('"') for cell in line.split(each)) for each in ("|", ",", "\t", ";")}
    for delimiter, columns in by_delimiter.items():
        with suppress(_UnknownColumnsError):
            form = _form_of(path, columns, name, declared)
            if not form.has_names:
                columns = tuple(str(place) for place in range(1, len(columns) + 1))
            return Verdict(replace(form, delimiter=delimiter), "csv", columns)
    raise InputFileError(
        f"{path} begins with {line[:80]!r}, which no format has: say what its columns are, as in "
        "--map time=TIMESTAMP --map symbol=TICKER --map price=LAST --map size=QTY --zone America/New_York"
    )


def _check_price(path: Path, schema: pa.Schema, column: str, declared: Declared) -> None:
    kinds = [field.type for field in schema if field.name.lower() == column]
    if declared.price_scale is None and any(pa.types.is_integer(kind) for kind in kinds):
        raise InputFileError(
            f"{path}: {column} is {kinds[0]}, whose unit the file does not say: name the decimal places with --scale "
            "(--scale 4 reads 1234500 as 123.45; --scale 0 reads whole dollars)"
        )


class _UnknownColumnsError(InputFileError):
    """No format has these columns."""


def _form_of(path: Path, columns: tuple[str, ...], name: str, declared: Declared) -> FileFormat:
    if declared.columns:
        if len(columns) < 2:
            raise _UnknownColumnsError(f"{path} has one column")
        if not declared.by_place:
            _check_repeated(path, columns)
        return replace(MAPPED, has_names=not declared.by_place)
    found = {column.lower() for column in columns}
    forms = [form for form in FORMATS if form.needs and form.needs <= found and name in ("", form.name)]
    if not forms:
        lacking = next((sorted(form.needs - found) for form in FORMATS if form.name == name and len(columns) > 1), None)
        if lacking:
            raise InputFileError(f"{path} lacks {', '.join(lacking)}, which --format {name} has")
        raise _UnknownColumnsError(f"{path} has columns that no format has: {', '.join(columns)}")
    if len(forms) > 1:
        choices = " or ".join(f"--format {form.name}" for form in forms)
        raise InputFileError(f"{path} may be of {len(forms)} formats: type {choices}")
    _check_repeated(path, columns)
    return forms[0]


def _check_repeated(path: Path, columns: tuple[str, ...]) -> None:
    lower = [each.lower() for each in columns]
    repeated = sorted({column for column in columns if lower.count(column.lower()) > 1})
    if repeated:
        raise InputFileError(f"{path} has more than one column {', '.join(repeated)}: keep one of them")


def _day_in_name(name: str) -> date | None:
    days = {"".join(found) for found in _DAY.findall(name)}
    return date.fromisoformat(days.pop()) if len(days) == 1 else None


def _csv_batches(stream: Any, verdict: Verdict, bad: list[BadRow], trailer: Trailer) -> Iterator[pl.DataFrame]:
    form = verdict.form

    def set_aside(row: pa_csv.InvalidRow) -> str:
        if not trailer.take(row.text):
            reason = f"it has {row.actual_columns} fields, the header {row.expected_columns}"
            bad.append(BadRow(row.number or 0, reason, row.text))
        return "skip"

    reader = pa_csv.open_csv(
        stream if not isinstance(stream, io.BufferedReader) else pa.PythonFile(stream, mode="r"),
        read_options=pa_csv.ReadOptions(
            use_threads=False,
            block_size=BLOCK_BYTES,
            skip_rows=int(form.has_names),
            column_names=[c.lower() for c in verdict.columns],
        ),
        parse_options=pa_csv.ParseOptions(
            delimiter=form.delimiter, quote_char='"' if form.quoted else False, invalid_row_handler=set_aside
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types={c.lower(): pa.string() for c in verdict.columns}, strings_can_be_null=False
        ),
    )
    line = 1 + form.has_names
    columns = [column.lower() for column in verdict.columns]
    for piece in reader:
        if not piece.num_rows:
            continue
        rows = pl.DataFrame(pa.table(piece))
        rows = rows.with_row_index("line", line).with_columns(pl.col("line").cast(pl.Int64))
        line += rows.height
        yield trailer.without(rows, columns)
