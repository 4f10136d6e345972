"""Heads and manifests: every object of another kind is torn by name, and what a newer release adds is left out."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.compaction_plan import InputFile, Manifest
from stock_pipeline.domain.document import Document
from stock_pipeline.domain.partition_head import PartitionHead, Superseded
from stock_pipeline.domain.trades_digest import TradesDigest

NOON = datetime(2018, 1, 2, 12, tzinfo=UTC)
FILE = InputFile("raw/trades/year=2018/month=1/day=2/shard-1-2-0000000000000000.parquet", "e1", 7)

MANIFEST = Manifest(
    session_date=date(2018, 1, 2),
    version="00000000000000aa",
    replaces="00000000000000a9",
    inputs=(FILE,),
    unreadable=(FILE._replace(etag="e2"),),
    digest=TradesDigest(2, 300, 5, 2**64 - 1, 10, 20),
    data_bytes=1234,
    data_files=("part-0", "part-1"),
    engine="athena",
    lost=(FILE._replace(etag="e3"),),
    data_etags=("d0", "d1"),
)
HEAD = PartitionHead(
    generation=3,
    version="00000000000000aa",
    catalog_confirmed_at=NOON,
    superseded=(Superseded("00000000000000a9", NOON), Superseded("00000000000000a8", None)),
    deleted=("00000000000000a7",),
)
KINDS: list[tuple[Any, Callable[[bytes], Any]]] = [(MANIFEST, Manifest.from_json), (HEAD, PartitionHead.from_json)]

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every value of a JSON document."""
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in entries:
        yield from places(inner, (*path, name))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        document = document[name]
    return document


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    at(document, path[:-1])[path[-1]] = value
    return document


@pytest.mark.parametrize(("value", "read"), KINDS)
def test_what_was_written_is_read(value: Any, read: Callable[[bytes], Any]) -> None:
    assert read(value.to_json()) == value


@pytest.mark.parametrize(("value", "read"), KINDS)
@given(data=st.data())
def test_any_other_value_anywhere_is_read_or_torn(
    value: Any, read: Callable[[bytes], Any], data: st.DataObject
) -> None:
    document = json.loads(value.to_json())
    path = data.draw(st.sampled_from(list(places(document))))
    body = json.dumps(replaced(document, path, data.draw(JSON_VALUES))).encode()
    try:
        result = read(body)
    except ValueError:
        return
    # what is read can be written and compared, as its users do
    assert read(result.to_json()) == result
    assert hash(result) == hash(read(body))


@pytest.mark.parametrize(("value", "read"), KINDS)
def test_a_field_less_is_torn_unless_older_releases_lack_it(value: Any, read: Callable[[bytes], Any]) -> None:
    optional = {"data_files", "engine", "schema_version", "newest_schema_version", "lost", "data_etags", "deleted"}
    for name in json.loads(value.to_json()):
        document = json.loads(value.to_json())
        del document[name]
        if name in optional:
            read(json.dumps(document).encode())
        else:
            with pytest.raises(ValueError, match=f"{name} is missing"):
                read(json.dumps(document).encode())


@pytest.mark.parametrize(("value", "read"), KINDS)
@given(data=st.data())
def test_fields_of_a_newer_release_are_left_out_at_any_depth(
    value: Any, read: Callable[[bytes], Any], data: st.DataObject
) -> None:
    document = json.loads(value.to_json())
    objects = [path for path in places(document) if isinstance(at(document, path), dict)]
    for path in data.draw(st.lists(st.sampled_from(objects), min_size=1, max_size=4)):
        at(document, path)["added_later"] = data.draw(JSON_VALUES)
    assert read(json.dumps(document).encode()) == value


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"3", b'"text"', b"{", b"\xff", b"[" * 100_000, b"{}"])
def test_what_is_no_object_is_torn(body: bytes) -> None:
    for _, read in KINDS:
        with pytest.raises(ValueError, match=r"\w"):
            read(body)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (True, "not a whole number"),
        (-1, "not a whole number"),
        (1.0, "not a whole number"),
        ("1", "not a whole number"),
    ],
)
def test_a_whole_number_is_no_other_number(value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Document({"size": value}).whole("size")


def test_a_time_without_an_offset_is_torn() -> None:
    with pytest.raises(ValueError, match="without an offset"):
        Document({"since": "2018-01-02T12:00:00"}).time_or_none("since")


@pytest.mark.parametrize("name", ["", "v1", "../x", "a/b", "0" * 15, "A" * 16, "\ud800"])
def test_a_version_that_no_prefix_can_have_is_torn(name: str) -> None:
    for value, read in KINDS:
        with pytest.raises(ValueError, match="version"):
            read(json.dumps(json.loads(value.to_json()) | {"version": name}).encode())


@pytest.mark.parametrize("field", ["deleted", "superseded"])
def test_an_earlier_version_that_no_prefix_can_have_is_torn(field: str) -> None:
    entries: dict[str, list[Any]] = {"deleted": ["../x"], "superseded": [{"version": "../x", "since": None}]}
    with pytest.raises(ValueError, match=r"\.\./x"):
        PartitionHead.from_json(json.dumps(json.loads(HEAD.to_json()) | {field: entries[field]}).encode())


def test_a_field_that_is_there_twice_is_torn() -> None:
    body = HEAD.to_json().replace(b'"generation": 3', b'"generation": 3, "generation": 9')
    with pytest.raises(ValueError, match="generation is there twice"):
        PartitionHead.from_json(body)


def test_half_a_character_is_no_text() -> None:
    for read in (Document({"key": "\ud800"}).text, Document({"key": "\ud800"}).text_or_none):
        with pytest.raises(ValueError, match="key is"):
            read("key")
    with pytest.raises(ValueError, match="keys is"):
        Document({"keys": ["\ud800"]}).texts("keys")


def test_rows_without_a_data_file_are_damage() -> None:
    assert "no data file" in replace(MANIFEST, data_files=(), data_etags=(), data_bytes=0).damage([])
    assert not replace(MANIFEST, data_files=(), data_etags=(), data_bytes=0, digest=TradesDigest()).damage([])
