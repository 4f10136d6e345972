"""A file whose columns its user declares has, read back, what its layout can hold."""

import csv
import io
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stock_pipeline.files.file_format import Declared
from tests.support.trade_files import NEW_YORK, OPEN_NS, Print, local, prints, read_file

_STATUS = {"00": "good", "0": "good", "": "good", "01": "corrected", "08": "cancelled"}
_TAPES = {"1": "A", "2": "B", "3": "C", "A": "A", "B": "B", "C": "C", "": ""}


class Times(NamedTuple):
    """A way to write when a trade was: of our columns `time`, and `date` if it has one, to `unit` nanoseconds."""

    written: Callable[[int], dict[str, str]]
    zone: str
    unit: int = 1


def _moment(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // 10**9, UTC)


def _local(time_ns: int, layout: str) -> str:
    return f"{_moment(time_ns).astimezone(NEW_YORK):{layout}}"


TIMES = {
    "an instant": Times(lambda ns: {"time": f"{_moment(ns):%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09}Z"}, "UTC"),
    "an instant with an offset": Times(
        lambda ns: {"time": f"{_local(ns, '%Y-%m-%d %H:%M:%S')}.{ns % 10**9:09}{_local(ns, '%z')}"}, "UTC"
    ),
    "a local time": Times(lambda ns: {"time": " ".join(local(ns))}, "America/New_York"),
    "nanoseconds": Times(lambda ns: {"time": str(ns)}, "UTC"),
    "microseconds": Times(lambda ns: {"time": str(ns // 10**3)}, "UTC", 10**3),
    "milliseconds": Times(lambda ns: {"time": str(ns // 10**6)}, "UTC", 10**6),
    "seconds": Times(lambda ns: {"time": str(ns // 10**9)}, "UTC", 10**9),
    "parts of a second": Times(lambda ns: {"time": f"{ns // 10**9}.{ns % 10**9:09}"}, "UTC"),
    "date and clock": Times(lambda ns: dict(zip(("date", "time"), local(ns), strict=True)), "America/New_York"),
    "packed date": Times(lambda ns: {"date": _local(ns, "%Y%m%d"), "time": local(ns)[1]}, "America/New_York"),
    "American date": Times(
        lambda ns: {"date": _local(ns, "%m/%d/%Y"), "time": _local(ns, "%H:%M:%S")}, "America/New_York", 10**9
    ),
    "SAS date": Times(
        lambda ns: {"date": _local(ns, "%d%b%Y").upper(), "time": local(ns)[1][:-6]}, "America/New_York", 10**6
    ),
}


class Layout(NamedTuple):
    """What a file's user declares, and how the file is written.

    optional: which of our columns it has beside those that it needs.
    """

    times: str
    scale: int | None
    names: bool
    delimiter: str
    optional: frozenset[str]

    @property
    def symbol(self) -> str:
        return "" if "symbol" in self.optional else "ABCD"


layouts = st.builds(
    Layout,
    times=st.sampled_from(sorted(TIMES)),
    scale=st.sampled_from([None, 6, 9]),
    names=st.booleans(),
    delimiter=st.sampled_from(",;|\t"),
    optional=st.frozensets(
        st.sampled_from(["symbol", "exchange", "conditions", "correction", "sequence", "id", "tape"])
    ),
)

marks = st.lists(st.tuples(st.sampled_from(sorted(_STATUS)), st.sampled_from(sorted(_TAPES))), min_size=20, max_size=20)


def values(layout: Layout, each: Print, mark: tuple[str, str]) -> dict[str, str]:
    price = each.price if layout.scale is None else f"{Decimal(each.price).scaleb(layout.scale):.0f}"
    of_all = TIMES[layout.times].written(each.time_ns) | {
        "price": price,
        "size": str(each.size),
        "symbol": each.symbol,
        "exchange": each.exchange,
        "conditions": each.conditions,
        "correction": mark[0],
        "sequence": str(each.sequence),
        "id": f"t-{each.sequence}",
        "tape": mark[1],
    }
    return {
        ours: value for ours, value in of_all.items() if ours in {"time", "date", "price", "size"} | layout.optional
    }


@settings(max_examples=60, deadline=None)
@given(layout=layouts, written=prints, marks=marks)
@example(
    layout=Layout("packed date", 9, False, "|", frozenset()),
    written=[Print("ABCD", OPEN_NS + 1, "0.000001", 1, "", "", 1)],
    marks=[("00", "A")] * 20,
)
def test_a_mapped_file_has_what_its_layout_can_hold(
    layout: Layout, written: list[Print], marks: list[tuple[str, str]]
) -> None:
    lines = [values(layout, each, mark) for each, mark in zip(written, marks, strict=False)]
    ours = list(lines[0])
    theirs = [f"Their {name}" if layout.names else str(place) for place, name in enumerate(ours, 1)]
    file = io.StringIO()
    writer = csv.writer(file, delimiter=layout.delimiter)
    if layout.names:
        writer.writerow(theirs)
    writer.writerows(line.values() for line in lines)
    times = TIMES[layout.times]
    declared = Declared(
        columns=dict(zip(ours, theirs, strict=True)), zone=times.zone, price_scale=layout.scale, symbol=layout.symbol
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trades.txt"
        path.write_text(file.getvalue())
        rows, bad = read_file(path, declared=declared)

    def held(name: str, value: list[str]) -> list[str]:
        return value if name in layout.optional else [""] * len(value)

    assert bad == []
    assert rows["symbol"].to_list() == [layout.symbol or each.symbol for each in written]
    assert rows["event_time_ns"].to_list() == [each.time_ns // times.unit * times.unit for each in written]
    assert rows["price"].to_list() == [Decimal(each.price) for each in written]
    assert rows["volume"].to_list() == [each.size for each in written]
    assert rows["exchange"].to_list() == held("exchange", [each.exchange for each in written])
    assert rows["conditions"].to_list() == held("conditions", [each.conditions for each in written])
    used = marks[: len(written)]
    assert rows["tape"].to_list() == held("tape", [_TAPES[tape] for _, tape in used])
    assert rows["status"].to_list() == [
        _STATUS[correction] if "correction" in layout.optional else "good" for correction, _ in used
    ]
    if "sequence" in layout.optional:
        assert rows["sequence"].to_list() == [each.sequence for each in written]
    if "id" in layout.optional:
        assert rows["trade_id"].to_list() == [f"t-{each.sequence}" for each in written]
