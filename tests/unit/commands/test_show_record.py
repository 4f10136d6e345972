"""`show-record` prints the lines of a record in each form that somebody may have it in."""

import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from backports import zstd

from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.trades import trade

LINES = b"\n".join(encode_trade(trade(number)) for number in range(3))
FRAME = zstd.compress(LINES)
COMMAND = Path(sys.executable).with_name("stock-pipeline")


def shown(content: bytes) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([COMMAND, "show-record"], input=content, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "content",
    [
        LINES,
        FRAME,
        b64encode(FRAME) + b"\n",
        json.dumps({"Records": [{"Data": b64encode(FRAME).decode(), "PartitionKey": "bucket-0001"}]}).encode(),
        json.dumps({"Records": [{"kinesis": {"data": b64encode(LINES).decode()}}]}).encode(),
        json.dumps({"reason": "not_json", "payload_base64": b64encode(FRAME).decode()}).encode(),
    ],
    ids=["lines", "frame", "base64", "answer of Kinesis", "event", "rejection"],
)
def test_lines_are_printed(content: bytes) -> None:
    done = shown(content)
    assert (done.returncode, done.stdout) == (0, LINES + b"\n"), done.stderr


def test_what_cannot_be_opened_is_said() -> None:
    done = shown(FRAME[:-2])
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"can't be opened" in done.stderr


def test_nothing_is_no_record() -> None:
    done = shown(b"\n")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"there is no record" in done.stderr
