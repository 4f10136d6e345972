"""A secret is fetched once in a while, and at once when its key was refused."""

import json
from typing import Any

from stock_pipeline.aws.secrets import KEPT_SECONDS, RENEWAL_PAUSE_SECONDS, SecretReader
from tests.support.clock import SECOND, Clock


class Store:
    """Secrets Manager's one call."""

    def __init__(self) -> None:
        self.calls = 0
        self.key = "first"

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:
        self.calls += 1
        return {"SecretString": json.dumps({"key": self.key, "secret": "s"})}


def test_a_secret_is_fetched_again_after_a_while() -> None:
    store, clock = Store(), Clock()
    reader = SecretReader(store, clock.now_ns)  # type: ignore[arg-type]
    assert [reader.read("name")["key"] for _ in range(3)] == ["first"] * 3
    store.key = "second"
    assert (reader.read("name")["key"], store.calls) == ("first", 1)
    clock.ns += KEPT_SECONDS * SECOND
    assert (reader.read("name")["key"], store.calls) == ("second", 2)


def test_a_refused_key_is_fetched_at_once_and_then_once_a_pause() -> None:
    store, clock = Store(), Clock()
    reader = SecretReader(store, clock.now_ns)  # type: ignore[arg-type]
    reader.read("name")
    store.key = "rotated"
    reader.renew("name")
    assert (reader.read("name")["key"], store.calls) == ("rotated", 2)
    for _ in range(100):
        reader.renew("name")
        clock.ns += RENEWAL_PAUSE_SECONDS * SECOND // 100 - 1
    assert store.calls == 2
    clock.ns += SECOND
    reader.renew("name")
    assert store.calls == 3
