"""Figures of a load: every line accounted for, and the findings compared with the ledger.

Figures in, sentences out; nothing is read here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stock_pipeline.local.load.faults import Fault
from stock_pipeline.local.load.findings import LakeFindings, QueueFindings
from stock_pipeline.providers.simulator.ledger import Ledger
from stock_pipeline.providers.simulator.simulator import FEED

SHOWN_SYMBOLS = 5


@dataclass(frozen=True, slots=True)
class LoadTraffic:
    """Traffic through the stream.

    seconds: from the first trade until everything was processed.
    put_twice: lines sent again because the first answer was lost.
    redriven: lines sent again from `failed/`.
    """

    seconds: float
    records: int
    invocations: int
    put_twice: int
    redriven: int


@dataclass(frozen=True, slots=True)
class LoadAccounting:
    """Count of every line: `sent` at the source, `found` in lake, queue and `failed/`."""

    simulated: int
    put_twice: int
    redriven: int
    in_lake: int
    duplicates: int
    rejected: int
    given_up: int

    @property
    def sent(self) -> int:
        return self.simulated + self.put_twice + self.redriven

    @property
    def found(self) -> int:
        return self.in_lake + self.duplicates + self.rejected + self.given_up

    @property
    def balances(self) -> bool:
        return self.sent == self.found


@dataclass(frozen=True, slots=True)
class LoadReport:
    ledger: Ledger
    traffic: LoadTraffic
    lake: LakeFindings
    queue: QueueFindings
    given_up: int
    items: Mapping[tuple[str, str], Mapping[str, Any]]
    average_windows: tuple[int, ...]
    faults: Mapping[Fault, int]

    @property
    def accounting(self) -> LoadAccounting:
        return LoadAccounting(
            simulated=self.ledger.lines,
            put_twice=self.traffic.put_twice,
            redriven=self.traffic.redriven,
            in_lake=self.lake.digest.rows,
            duplicates=self.lake.rows_of_stream - self.lake.digest.rows,
            rejected=len(self.queue.rejection_ids),
            given_up=self.given_up,
        )

    @property
    def trades_per_second(self) -> float:
        return self.ledger.trades / self.traffic.seconds


def disagreements(report: LoadReport) -> list[str]:
    """Return a sentence for each thing that is wrong."""
    found = []
    if not report.accounting.balances:
        found.append(f"the accounting does not balance: {report.accounting}")
    if report.lake.digest != report.ledger.lake:
        found.append(f"the lake holds {report.lake.digest}, the ledger says {report.ledger.lake}")
    expected = {str(reason): count for reason, count in report.ledger.rejected.items()}
    if dict(report.queue.by_reason) != expected:
        found.append(f"the queue holds {dict(report.queue.by_reason)} rejected lines, the ledger says {expected}")
    wrong = list(_wrong_states(report))
    if wrong:
        found.append(f"the state of {len(wrong)} symbols is not the ledger's: {'; '.join(wrong[:SHOWN_SYMBOLS])}")
    return found


def _wrong_states(report: LoadReport) -> Iterator[str]:
    symbols = {symbol for symbol, _ in report.items} | set(report.ledger.newest)
    for symbol in sorted(symbols):
        item = report.items.get((symbol, FEED))
        if item is None or symbol not in report.ledger.newest:
            yield f"{symbol} is {'missing' if item is None else 'not a simulated symbol'}"
            continue
        expected = _expected_item(report, symbol)
        shown = {name: item.get(name) for name in expected}
        if shown != expected:
            yield f"{symbol} shows {shown} instead of {expected}"


def _expected_item(report: LoadReport, symbol: str) -> dict[str, Any]:
    state = report.ledger.expected_state(symbol, report.average_windows)
    attributes: dict[str, Any] = {f"sma_{window}": price for window, price in state.averages.items()}
    if state.latest is not None:
        attributes |= {
            "event_id": state.latest.event_id,
            "event_time_ns": Decimal(state.latest.event_time_ns),
            "price": state.latest.price,
            "volume": Decimal(state.latest.volume or 0),
            "conditions": state.latest.conditions,
        }
    return attributes


def report_json(report: LoadReport, measures: Mapping[str, float]) -> dict[str, Any]:
    """Return the figures for a machine.

    measures: what the process measured about itself.
    """
    accounting, traffic = report.accounting, report.traffic
    return {
        "trades": report.ledger.trades,
        "symbols": len(report.ledger.newest),
        "accounting": {
            "simulated": accounting.simulated,
            "put_twice": accounting.put_twice,
            "redriven": accounting.redriven,
            "in_lake": accounting.in_lake,
            "duplicates": accounting.duplicates,
            "rejected": accounting.rejected,
            "given_up": accounting.given_up,
            "balances": accounting.balances,
        },
        "rejected_by_reason": dict(report.queue.by_reason),
        "lake": {
            "files": report.lake.files,
            "rows_written": report.lake.rows_written,
            "rows_of_stream": report.lake.rows_of_stream,
            **report.lake.digest._asdict(),
        },
        "faults": {str(fault): count for fault, count in report.faults.items()},
        "records": traffic.records,
        "invocations": traffic.invocations,
        "seconds": round(traffic.seconds, 3),
        "trades_per_second": round(report.trades_per_second, 1),
        **measures,
        "disagreements": disagreements(report),
    }
