"""What can happen to the objects of a published version."""

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq

from stock_pipeline.domain.lake_layout import head_key
from stock_pipeline.lake.catalog_rebuild import CatalogRebuild
from tests.support.lake import SESSION, Lake
from tests.support.trades import trade

FIRST = [trade(1), trade(2), trade(3)]
LATE = [trade(2), trade(0)]


def data_key(lake: Lake) -> str:
    return lake.manifest().data_keys[-1]


def manifest_key(lake: Lake) -> str:
    return lake.manifest().place.manifest_key


def cut(lake: Lake, key: str) -> None:
    lake.store.put(key, lake.store.objects[key][:-7])


def spoil(lake: Lake, key: str) -> None:
    lake.store.put(key, b"?" * len(lake.store.objects[key]))


def write_in(lake: Lake, key: str, **values: Any) -> None:
    """Change fields of a JSON object, as whoever edits one by hand."""
    lake.store.put(key, json.dumps(json.loads(lake.store.objects[key]) | values).encode())


DAMAGES: dict[str, Callable[[Lake], None]] = {
    "data is missing": lambda lake: lake.store.delete([data_key(lake)]),
    "data is cut": lambda lake: cut(lake, data_key(lake)),
    "data is something else of its size": lambda lake: spoil(lake, data_key(lake)),
}


TORN: dict[str, Callable[[Lake], None]] = {
    "manifest is missing": lambda lake: lake.store.delete([manifest_key(lake)]),
    "manifest is cut": lambda lake: cut(lake, manifest_key(lake)),
    "manifest is another document": lambda lake: lake.store.put(manifest_key(lake), b"[1]"),
    "manifest has no inputs": lambda lake: write_in(lake, manifest_key(lake), inputs=None),
    "manifest has texts for inputs": lambda lake: write_in(lake, manifest_key(lake), inputs=["raw/trades/a.parquet"]),
    "manifest has a text for a size": lambda lake: write_in(lake, manifest_key(lake), data_bytes="many"),
    "manifest has a number for its files": lambda lake: write_in(lake, manifest_key(lake), data_files=5),
    "manifest has no digest": lambda lake: write_in(lake, manifest_key(lake), digest={"rows": 3}),
    "manifest is another session's": lambda lake: write_in(lake, manifest_key(lake), session_date="2018-01-03"),
    "manifest is another version's": lambda lake: write_in(lake, manifest_key(lake), version="00000000000000aa"),
}


TORN_HEADS: dict[str, Callable[[Lake], None]] = {
    "head is cut": lambda lake: cut(lake, head_key(SESSION)),
    "head is empty": lambda lake: lake.store.put(head_key(SESSION), b""),
    "head is another document": lambda lake: lake.store.put(head_key(SESSION), b"[]"),
    "head has a number for a version": lambda lake: write_in(lake, head_key(SESSION), version=7),
    "head has a text for a generation": lambda lake: write_in(lake, head_key(SESSION), generation="1"),
    "head has texts for versions": lambda lake: write_in(lake, head_key(SESSION), superseded=["00000000000000aa"]),
    "head has a time of no zone": lambda lake: write_in(lake, head_key(SESSION), settled_at="2018-01-02T12:00:00"),
}


def collect(lake: Lake) -> None:
    lake.pass_time(timedelta(days=4))
    list(lake.garbage_collector().collect())


def rebuild(lake: Lake) -> None:
    CatalogRebuild(lake.store, lake.catalog, lambda: lake.now, lake.unpublished).run()


def break_pages(lake: Lake, key: str) -> None:
    """Spoil the first column of the first row group, under a whole footer."""
    body = lake.store.objects[key]
    column = pq.read_metadata(io.BytesIO(body)).row_group(0).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    end = start + column.total_compressed_size
    lake.store.put(key, body[:start] + b"\xff" * (end - start) + body[end:])
