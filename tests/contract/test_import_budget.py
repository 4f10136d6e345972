"""What a cold start of the processor costs, in processes of its own.

Both processes import boto3 first, because the Lambda runtime brings it. How long that takes tells how busy the machine
is: CPU time of the same work doubles where two processes share a core. The budget grows with it.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
BUDGET_SECONDS = 0.350
BOTO3_SECONDS = 0.200
"""CPU time of importing boto3 on a machine that is not busy."""

ROUNDS = 10

NEVER_IN_A_LAMBDA = ("polars", "pandas", "dagster", "duckdb", "moto", "rich", "pytest")

CPU_OF_IMPORT = """
import json, sys, time
started = time.process_time()
import boto3, botocore.exceptions
between = time.process_time()
{statement}
print(json.dumps([between - started, time.process_time() - between]))
"""

IMPORT_HANDLER = """
import sys
sys.path.insert(0, "lambdas/processor")
import app
"""

PROCESS_A_BATCH = f"""
{IMPORT_HANDLER}
import json
after_import = [name for name in sys.argv[1:] if name in sys.modules]
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.stores import FakeObjectStore, FakeQueue, FakeStateTable
from tests.support.kinesis_events import kinesis_event
from tests.support.trades import trade

clean = [encode_trade(trade(n, symbol=s)) for n in range(50) for s in ("ABC", "XYZ")]
lake, table = FakeObjectStore(), FakeStateTable()
for payloads in (clean, [b"broken", *clean]):
    report = Processor(FakeQueue(), lake, table, (5, 20), print).process(kinesis_event(payloads))
    assert report.trades == len(clean), report
assert len(table.held) == 2 and lake.objects
after_batch = [name for name in sys.argv[1:] if name in sys.modules]
print(json.dumps([after_import, after_batch]))
"""


def run(program: str, *arguments: str, bytecode: Path | None = None) -> str:
    """Run the program. Compiled modules are read from the folder `bytecode`, and written there."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if bytecode:
        environ["PYTHONPYCACHEPREFIX"] = str(bytecode)
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=PROJECT,
        env=environ if bytecode else None,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_processor_stays_within_its_budget(tmp_path: Path) -> None:
    program = CPU_OF_IMPORT.format(statement=IMPORT_HANDLER)
    run(program, bytecode=tmp_path)  # leaves the bytecode that a deployed package brings
    rounds = [json.loads(run(program, bytecode=tmp_path)) for _ in range(ROUNDS)]
    # each beside its own round's boto3: a moment's quiet for one of the two says nothing of the other
    of_quiet_machine = [handler / max(1.0, boto3 / BOTO3_SECONDS) for boto3, handler in rounds]
    assert statistics.median(of_quiet_machine) <= BUDGET_SECONDS, rounds


def test_nothing_heavy_is_loaded_by_the_import_or_by_a_batch() -> None:
    after_import, after_batch = json.loads(run(PROCESS_A_BATCH, *NEVER_IN_A_LAMBDA))
    assert after_import == []
    assert after_batch == []
