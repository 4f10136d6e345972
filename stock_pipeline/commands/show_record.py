"""`stock-pipeline show-record`: show the lines of records of the stream, however they are written."""

import argparse
import json
import sys
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stock_pipeline.commands.parsers import Commands, add_command

_BASE64_FIELDS = ("Data", "data", "data_base64", "payload_base64")
"""Where a Kinesis answer, an event, a kept record and a rejection have a record's bytes."""


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "show-record",
        summary="show the lines of records of the stream, as they were put or as something kept them",
        description="Prints a record's lines: of its bytes, of their base64, or of each record in a JSON document "
        "(an answer of aws kinesis get-records, an event of Lambda, a kept batch, a message of the dead-letter queue). "
        "Says on standard error how each is written. A record that can't be opened is said so, and the exit code is 1.",
        example="stock-pipeline show-record records.json",
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: standard input")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from stock_pipeline.errors import InputFileError
    from stock_pipeline.streaming.record_encoding import ZSTD_MAGIC
    from stock_pipeline.streaming.record_lines import lines_of, other_form

    content = options.file.read_bytes() if options.file else sys.stdin.buffer.read()
    if not content.strip():
        raise InputFileError("there is no record: name a file, or send one to standard input")
    failed = False
    for data in records_in(content):
        form = other_form(data)
        lines = lines_of(data)
        written = "a zstd frame" if data.startswith(ZSTD_MAGIC) else "lines"
        print(f"{len(data):,} bytes, {form or f'{written}, {len(lines):,} lines'}", file=sys.stderr)
        if form is None:
            sys.stdout.buffer.write(b"".join(line + b"\n" for line in lines))
        failed = failed or form is not None
    sys.stdout.flush()
    return int(failed)


def records_in(content: bytes) -> list[bytes]:
    """Return the records in a document, in base64, or the content itself."""
    try:
        document = json.loads(content)
    except ValueError:
        text = content.strip()
        return [(b64decode(text, validate=True) if _is_base64(text) else None) or content]
    return list(_of_document(document)) or [content]


def _is_base64(text: bytes) -> bool:
    try:
        b64decode(text, validate=True)
    except Base64Error:
        return False
    return True


def _of_document(document: Any) -> Iterator[bytes]:
    if isinstance(document, dict):
        for name, value in document.items():
            if name in _BASE64_FIELDS and isinstance(value, str) and _is_base64(value.encode()):
                yield b64decode(value)
            else:
                yield from _of_document(value)
    elif isinstance(document, list):
        for each in document:
            yield from _of_document(each)
