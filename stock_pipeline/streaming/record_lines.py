"""The lines of a Kinesis record; or why it has none, so that it stays whole.

Processor and redrive both cut records here. What is no newline-delimited JSON has the byte 0x0A anywhere, and nobody
could put its pieces together again.
"""

import msgspec

from stock_pipeline.streaming.record_encoding import UnopenedError, opened

_FORMS = (
    (
        b"\xf3\x89\x9a\xc2",
        "the record is aggregated by the Kinesis Producer Library (KPL): publish with AggregationEnabled=false",
    ),
    (b"\x1f\x8b\x08", "the record is a gzip frame: publish lines of JSON"),
)
"""First bytes of known forms."""

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")

_document = msgspec.json.Decoder(msgspec.Raw)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def lines_of(data: bytes) -> list[bytes]:
    """Return the record's lines, or the whole record if it is another form.

    An empty record is one empty line, because rejecting it accounts for the record.
    """
    return [data] if other_form(data) else opened(data).removesuffix(b"\n").split(b"\n")


def other_form(data: bytes) -> str | None:
    """Return what the record is instead of lines of JSON, and what to do; None for lines, however broken."""
    for first_bytes, what in _FORMS:
        if data.startswith(first_bytes):
            return what
    # a line of JSON in UTF-16 has a zero byte in each of its letters
    if data.startswith(_UTF_16_MARKS) and b"\x00" in data:
        return "the record is text in UTF-16: publish UTF-8"
    try:
        text = opened(data).removesuffix(b"\n")
    except UnopenedError as error:
        return f"the record is a zstd frame that can't be opened: {error}"
    first, newline, rest = text.partition(b"\n")
    if not newline or _is_object(first):
        return None
    if b"\n" in text.strip() and _is_document(text):
        return "the record is one JSON document over several lines: publish each trade on a line of its own"
    # only what has a brace can be an object: a million newlines are looked at once
    if b"{" in rest and any(map(_is_object, rest.split(b"\n"))):
        return None
    return "none of the record's lines is a JSON object"


def _is_document(text: bytes) -> bool:
    try:
        _document.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _is_object(line: bytes) -> bool:
    bare = line.strip()
    if bare[:1] != b"{" or bare[-1:] != b"}":
        return False
    try:
        _object.decode(bare)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
