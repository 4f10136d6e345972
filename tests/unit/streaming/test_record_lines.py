"""What is lines of JSON is cut into lines, and what is anything else stays whole, in the processor and in redrive."""

import gzip
import hashlib
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.streaming.batch_decoder import decode_batch
from stock_pipeline.streaming.kinesis_event import StreamBatch, StreamRecord
from stock_pipeline.streaming.record_lines import lines_of, other_form
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.trades import trade

LINES = b"\n".join(encode_trade(trade(number)) for number in range(4))
DOCUMENT = json.loads(encode_trade(trade(1)))


def aggregated(*payloads: bytes) -> bytes:
    """What the Kinesis Producer Library makes of records: a magic number, a protobuf message, and its MD5 digest."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2]) + varint(len(content)) + content

    message = field(1, b"bucket-0001") + b"".join(
        field(3, bytes([1 << 3, 0]) + field(3, payload)) for payload in payloads
    )
    return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


OTHER_FORMS: dict[str, tuple[bytes, str]] = {
    "aggregated": (aggregated(*LINES.split(b"\n")), "KPL"),
    "aggregated lines": (aggregated(LINES, LINES), "KPL"),
    "gzip": (gzip.compress(LINES, mtime=0), "gzip"),
    "zstd, cut off": (pa.Codec("zstd").compress(LINES, asbytes=True)[:-1], "zstd"),
    "one document over several lines": (json.dumps(DOCUMENT, indent=2).encode(), "one JSON document"),
    "one document and a newline": (json.dumps(DOCUMENT, indent=2).encode() + b"\n", "one JSON document"),
    "an array, a trade a line": (b"[\n" + LINES.replace(b"\n", b",\n") + b"\n]", "one JSON document"),
    "a document cut short": (json.dumps(DOCUMENT, indent=2).encode()[:-2], "none of the record's lines"),
    "UTF-16": (LINES.decode().encode("utf-16"), "UTF-16"),
    "UTF-16, little end first": (LINES.decode().encode("utf-16-le"), "none of the record's lines"),
    "UTF-16, big end first": (LINES.decode().encode("utf-16-be"), "none of the record's lines"),
    "bytes": (bytes(range(256)) * 20, "none of the record's lines"),
    "newlines": (b"\n" * 1_000_000, "none of the record's lines"),
    "text": (b"<html>\n<body>\n</html>", "none of the record's lines"),
}


@pytest.mark.parametrize(("data", "named"), OTHER_FORMS.values(), ids=OTHER_FORMS)
def test_another_form_is_one_rejection_that_has_it_whole(data: bytes, named: str) -> None:
    good = encode_trade(trade(9))
    records = [StreamRecord(str(n), "bucket-0001", each, 5e9) for n, each in enumerate([good, data, good])]
    decoded = decode_batch(StreamBatch("shardId-000000000000", tuple(records)), ArrivalLimits())
    assert decoded.trades.num_rows == 2
    (rejection,) = decoded.rejections
    assert (rejection.reason, rejection.payload, rejection.line) == (Reason.NOT_JSON, data, None)
    assert rejection.rejection_id == "shardId-000000000000:1"
    assert named in rejection.detail
    assert lines_of(data) == [data]


LINE_RECORDS: dict[str, bytes] = {
    "nothing": b"",
    "a newline": b"\n",
    "a line": LINES.split(b"\n")[0],
    "a broken line": b"not json",
    "lines": LINES,
    "a newline at the end": LINES + b"\n",
    "an empty line first": b"\n" + LINES,
    "empty lines around one": b"\n\n" + encode_trade(trade(1)) + b"\n\n",
    "a broken line first": b"not json\n" + LINES,
    "what looks like UTF-16 first": b"\xff\xfe\n" + LINES,
    "a line cut short first": encode_trade(trade(1))[:-9] + b"\n" + LINES,
    "lines of tomorrow": LINES.replace(b'"feed"', b'"field_of_tomorrow"'),
    "ends of DOS": LINES.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("data", LINE_RECORDS.values(), ids=LINE_RECORDS)
def test_lines_are_cut_however_broken_some_are(data: bytes) -> None:
    assert other_form(data) is None
    assert lines_of(data) == data.removesuffix(b"\n").split(b"\n")


pieces = st.sampled_from([*LINES.split(b"\n")[:2], b"", b"{", b"}", b"{}", b"[", b"]", b"\xff\xfe", b"not json", b" "])


@given(st.one_of(st.binary(max_size=40), st.lists(pieces, max_size=5).map(b"\n".join)))
def test_nothing_of_a_record_is_lost_between_its_lines(data: bytes) -> None:
    assert b"\n".join(lines_of(data)) in (data, data.removesuffix(b"\n"))
