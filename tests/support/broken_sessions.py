"""What can be wrong with one session of a lake, in any kind of store."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Protocol

from stock_pipeline.domain.lake_layout import MANIFEST_FILE, curated_partition_prefix, head_key
from stock_pipeline.domain.listed_object import ListedObject


class Store(Protocol):
    def put(self, key: str, body: bytes) -> None: ...
    def list(self, prefix: str) -> Iterable[ListedObject]: ...
    def delete(self, keys: Iterable[str]) -> None: ...


def lose_head(store: Store, session_date: date) -> None:
    """Its raw files have to be collected before, or the next compaction makes another one."""
    store.delete([head_key(session_date)])


def tear_head(store: Store, session_date: date) -> None:
    store.put(head_key(session_date), b'{"generation": 0, "vers')


def tear_manifest(store: Store, session_date: date) -> None:
    for key in _manifests(store, session_date):
        store.put(key, b'{"session_date": "2018')


def lose_manifest(store: Store, session_date: date) -> None:
    store.delete(_manifests(store, session_date))


def spoil_manifest(store: Store, session_date: date) -> None:
    for key in _manifests(store, session_date):
        store.put(key, b"\x00\xff" * 100)


TROUBLES: dict[str, Callable[[Store, date], None]] = {
    "torn head": tear_head,
    "torn manifest": tear_manifest,
    "lost manifest": lose_manifest,
    "unreadable manifest": spoil_manifest,
}


def _manifests(store: Store, session_date: date) -> list[str]:
    listed = store.list(curated_partition_prefix(session_date))
    return [each.key for each in listed if each.key.endswith("/" + MANIFEST_FILE)]
