"""A processor beside stores in memory."""

import io
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.streaming.processor import Processor
from tests.fakes.stores import FakeObjectStore, FakeQueue, FakeStateTable

ABC, XYZ = SymbolKey("ABC", "sim"), SymbolKey("XYZ", "sim")
DAY = 86_400.0


class AccessDenied(Exception):
    """A service's refusal, as AWS has it."""


class ProcessorWorld:
    def __init__(self) -> None:
        self.queue, self.lake, self.table = FakeQueue(), FakeObjectStore(), FakeStateTable()
        self.waits: list[int] = []
        self.limits = ArrivalLimits()
        self.is_refusal: Callable[[Exception], bool] = lambda error: isinstance(error, AccessDenied)

    def processor(self) -> Processor:
        return Processor(
            self.queue,
            self.lake,
            self.table,
            (5, 20),
            self.waits.append,
            self.limits,
            self.is_refusal,
            now_ns=lambda: 0,  # before every arrival
        )

    def handle(self, event: dict[str, Any], has_time: Callable[[], bool] = lambda: True) -> dict[str, Any]:
        return self.processor().handle(event, has_time)

    def raw_rows(self) -> list[str]:
        ids = []
        for key, body in self.lake.objects.items():
            if key.startswith("raw/"):
                ids += pq.read_table(io.BytesIO(body))["event_id"].to_pylist()
        return sorted(ids)

    def quarantine(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for key, body in self.lake.objects.items():
            if key.startswith("quarantine/"):
                rows += pq.read_table(io.BytesIO(body)).to_pylist()
        return rows
