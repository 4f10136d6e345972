"""The object store and its fakes do the same, so what a test sees of a fake is true of S3."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.errors import RetryableError
from tests.fakes.clients import FakeS3Client
from tests.fakes.stores import FakeObjectStore
from tests.support.emulated_services import local_clients, new_bucket


@pytest.fixture(scope="module")
def clients(aws_endpoint: str) -> Iterator[Clients]:
    with closing(local_clients(aws_endpoint)) as opened:
        yield opened


@pytest.fixture(params=["fake", "fake client", "moto"])
def object_store(request: pytest.FixtureRequest) -> Any:
    if request.param == "fake":
        return FakeObjectStore()
    if request.param == "fake client":
        return ObjectStore(FakeS3Client(), "bucket")  # type: ignore[arg-type]
    clients: Clients = request.getfixturevalue("clients")
    return ObjectStore(clients.s3, new_bucket(clients))


def test_an_object_is_put_once_under_a_key(object_store: Any) -> None:
    assert object_store.put_if_absent("a/1", b"one")
    assert not object_store.put_if_absent("a/1", b"two")
    assert object_store.get("a/1") == b"one"
    assert object_store.get_if_there("a/2") is None


def test_the_tail_of_an_object_is_its_last_bytes_or_all_of_them(object_store: Any) -> None:
    object_store.put("a/1", b"12345")
    assert object_store.tail("a/1", 2) == b"45"
    assert object_store.tail("a/1", 5) == object_store.tail("a/1", 9) == b"12345"
    object_store.put("a/2", b"")
    assert object_store.tail("a/2", 8) == b""


def test_a_put_without_a_condition_replaces_what_was_there(object_store: Any) -> None:
    object_store.put("a/1", b"one")
    object_store.put("a/1", b"two")
    assert object_store.get("a/1") == b"two"
    assert not object_store.put_if_absent("a/1", b"three")
    assert object_store.get_if_there("a/1") == b"two"


def test_a_put_answers_with_the_etag_that_the_listing_shows(clients: Clients) -> None:
    for s3, name in ((FakeS3Client(), "bucket"), (clients.s3, new_bucket(clients))):
        answer = s3.put_object(Bucket=name, Key="a/1", Body=b"one", ContentType="application/json")  # type: ignore[attr-defined]
        (listed,) = ObjectStore(s3, name).list("a/")  # type: ignore[arg-type]
        assert answer["ETag"] == f'"{listed.etag}"'


def test_a_listing_follows_its_prefix_and_the_content(object_store: Any) -> None:
    for key in ("a/2", "a/1", "b/1"):
        object_store.put(key, key.encode())
    before = list(object_store.list("a/"))
    assert [(entry.key, entry.size) for entry in before] == [("a/1", 3), ("a/2", 3)]
    object_store.put("a/2", b"new")
    after = list(object_store.list("a/"))
    assert after[0] == before[0]
    assert after[1].etag != before[1].etag


def test_an_object_is_replaced_only_by_who_read_it_last(object_store: Any) -> None:
    assert object_store.read("head") is None
    assert not object_store.replace("head", b"one", "0" * 32)
    assert object_store.put_if_absent("head", b"one")
    body, etag = object_store.read("head")
    assert body == b"one"
    assert object_store.replace("head", b"two", etag)
    assert not object_store.replace("head", b"three", etag)
    assert object_store.read("head")[0] == b"two"


@pytest.mark.parametrize("size", [0, 1_000, 6_000_000])
def test_a_file_is_uploaded_once_and_downloaded_as_it_was(
    object_store: Any, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stock_pipeline.aws.object_store._PIECE_BYTES", 5 * 1024 * 1024)  # S3's smallest part
    one, other, back = (tmp_path / name for name in ("one", "other", "back"))
    one.write_bytes(bytes(range(250)) * (size // 250))
    other.write_bytes(b"other" * (size // 5))
    assert object_store.upload_if_absent("data", one)
    assert not object_store.upload_if_absent("data", other)
    etag = object_store.read("data")[1]
    object_store.download("data", back, etag)
    assert back.read_bytes() == one.read_bytes()
    with pytest.raises(RetryableError, match="try again"):
        object_store.download("data", back, "0" * 32)
    with pytest.raises(RetryableError, match="try again"):
        object_store.download("nothing", back)


def test_deleting_takes_many_objects_and_missing_ones(object_store: Any) -> None:
    for key in ("a/1", "a/2", "b/1"):
        object_store.put(key, b"x")
    object_store.delete([*(f"none/{number}" for number in range(1500)), "a/1", "a/2"])
    assert [listed.key for listed in object_store.list("")] == ["b/1"]
    object_store.delete([])


def test_objects_are_tagged_in_place_of_all_other_tags_and_missing_ones_passed_over(object_store: Any) -> None:
    keys = [f"a/{number}" for number in range(40)]
    for key in keys:
        object_store.put(key, b"x")
    before = list(object_store.list("a/"))
    object_store.tag(keys, "old", "1")
    object_store.tag(["none/1", *keys, "none/2"], "compacted", "true")
    assert [tags_of(object_store, key) for key in keys] == [{"compacted": "true"}] * 40
    assert list(object_store.list("a/")) == before


def tags_of(object_store: Any, key: str) -> dict[str, str]:
    if not isinstance(object_store, ObjectStore):
        return dict(object_store.tags.get(key, {}))
    if isinstance(object_store.client, FakeS3Client):
        return object_store.client.tags.get(key, {})
    answer = object_store.client.get_object_tagging(Bucket=object_store.bucket, Key=key)
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}
