"""Says which part a growing load breaks first, and which setting moves that limit. Prices belong to `cost`.

AWS's limits: a shard takes 1 MiB a second (Kinesis, "Quotas and limits"); a function has one processor at 1,769 MB
(Lambda, "Configure Lambda function memory"); an account has 1,000 concurrent executions, a new one fewer (Lambda,
"Lambda quotas").
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from stock_pipeline.domain.capture import OVERLAP_SECONDS
from stock_pipeline.domain.cost import (
    BATCH_SECONDS,
    RAW_BYTES_A_TRADE,
    RECORD_TRADES,
    STATE_WRITE_SECONDS,
    STATE_WRITE_UNITS,
    TRADE_SECONDS,
    Deployment,
    Workload,
    bytes_a_trade,
    flow_of,
)

PRODUCER_ROW_SECONDS = 0.00002
"""CPU for each row that the polling producer reads: 19.4 µs on 2026-11-26, by bench.producer on a busy machine."""

MEMORY_OF_A_PROCESSOR_MB = 1769
SHARD_BYTES = 2**20
CALLS_A_MINUTE = 150
ROWS_A_CALL = 10_000
"""The price API's Basic plan, as `providers.alpaca.rest` keeps to it."""

CONCURRENCY = 1000
OTHER_FUNCTIONS = 2
SYMBOLS_BYTES = 2800
BYTES_A_SYMBOL = 5
"""Room for `symbols` in a function's environment of 4 KB (infra/variables.tf), and a symbol's share with its comma."""

DISK_TIMES_SESSION = 3
SCANS_OF_SESSION = 4
HIGHEST = 10_000_000


class Limit(NamedTuple):
    """Where a part ends.

    trades_per_second: the most that it carries, all else being as it is.
    setting: what moves the limit.
    """

    part: str
    trades_per_second: float
    setting: str


def limits(workload: Workload, deployment: Deployment) -> list[Limit]:
    """Return every limit on the rate, the lowest first."""
    return sorted(_limits(workload, deployment), key=lambda limit: limit.trades_per_second)


def most_symbols() -> int:
    return SYMBOLS_BYTES // BYTES_A_SYMBOL


def _limits(workload: Workload, deployment: Deployment) -> Iterator[Limit]:
    producer = "functions.producer.memory_mb"
    if deployment.producer_memory_mb >= MEMORY_OF_A_PROCESSOR_MB:
        producer = "stream_producer_command: one processor is all that the polling producer can use"
    rows = 1 + OVERLAP_SECONDS / max(deployment.look_back_seconds, deployment.poll_interval_seconds)
    processors = min(1.0, deployment.producer_memory_mb / MEMORY_OF_A_PROCESSOR_MB)
    yield Limit("the producer's CPU", processors / (rows * PRODUCER_ROW_SECONDS), producer)
    calls = CALLS_A_MINUTE - 60 / deployment.poll_interval_seconds
    yield Limit("the price API's calls", calls * ROWS_A_CALL / 60 / rows, "stream_producer_command, or a larger plan")
    encoding = deployment.stream_encoding
    shard = SHARD_BYTES / bytes_a_trade(encoding, RECORD_TRADES[encoding])
    if deployment.stream_mode == "PROVISIONED":
        yield Limit("the stream's shards", deployment.shard_count * shard, "shard_count")
    yield Limit(
        "the processor's time",
        _highest(lambda rate: _busy(_at(workload, rate), deployment) <= 1),
        "parallelization_factor in infra/event_source_mapping.json",
    )
    readers = (CONCURRENCY - OTHER_FUNCTIONS) / deployment.parallelization_factor
    yield Limit("the account's concurrent Lambdas", readers * shard, "Service Quotas, Lambda, Concurrent executions")
    units = deployment.table_max_request_units
    if units is not None:
        yield Limit(
            "the table's request units",
            _highest(lambda rate: _write_units(_at(workload, rate), deployment) <= units),
            "table_max_request_units",
        )
    session_bytes = RAW_BYTES_A_TRADE * workload.hours_per_day * 3600
    local = min(deployment.athena_compaction_megabytes * 1e6, deployment.run_disk_gb * 1e9 / DISK_TIMES_SESSION)
    if local < deployment.athena_compaction_megabytes * 1e6:
        yield Limit("the disk of a compaction", local / session_bytes, "dagster_sizes.run_disk_gb")
    yield Limit(
        "Athena's scan of a compaction",
        deployment.athena_scan_cutoff_bytes / SCANS_OF_SESSION / session_bytes,
        "athena_scan_cutoff_bytes",
    )


def _at(workload: Workload, rate: float) -> Workload:
    return replace(workload, trades_per_second=rate)


def _busy(workload: Workload, deployment: Deployment) -> float:
    """Return the share of time in which one reader of a shard works."""
    flow = flow_of(workload, deployment)
    seconds = flow.batches_per_second * (BATCH_SECONDS + flow.symbols_a_batch * STATE_WRITE_SECONDS)
    seconds += workload.trades_per_second * TRADE_SECONDS
    return seconds / (deployment.shard_count * deployment.parallelization_factor)


def _write_units(workload: Workload, deployment: Deployment) -> float:
    flow = flow_of(workload, deployment)
    return flow.batches_per_second * flow.symbols_a_batch * STATE_WRITE_UNITS


def _highest(holds: Callable[[float], bool]) -> float:
    """Return the highest rate at which a rising demand is still met."""
    low, high = 0.0, float(HIGHEST)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
