"""Messages that redrive gave up, back into the dead-letter queue: once what made them fail is repaired.

They come back as new messages, with all their tries before them. A crash in between leaves one in both places, which
redrive makes up for.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol

from stock_pipeline.domain.lake_layout import PARKED_PREFIX
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.redrive.message_forms import reason_of


class Objects(Protocol):
    def list(self, prefix: str) -> Iterable[ListedObject]: ...

    def get(self, key: str) -> bytes: ...

    def delete(self, keys: Iterable[str]) -> None: ...


class Queue(Protocol):
    def send(self, documents: Sequence[bytes]) -> None: ...


def unpark(objects: Objects, queue: Queue, limit: int, reason: Reason | None = None) -> int:
    """Send up to `limit` parked messages to the queue again; how many were. reason: only lines rejected for it."""
    bodies = ((listed.key, str(json.loads(objects.get(listed.key))["body"])) for listed in objects.list(PARKED_PREFIX))
    chosen = ((key, body) for key, body in bodies if reason is None or reason_of(body) == reason)
    count = 0
    for key, body in islice(chosen, limit):
        queue.send([body.encode()])
        objects.delete([key])
        count += 1
    return count
