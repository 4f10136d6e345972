"""Parked messages back into the dead-letter queue, once the cause of their failure is repaired.

They are new messages, without earlier tries. A crash may leave one in both places: redriving it twice is harmless.
"""

import json
from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from stock_pipeline.domain.lake_layout import PARKED_PREFIX
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.redrive.message_forms import reason_of
from stock_pipeline.streaming.ports import DeadLetterQueue


class ParkedObjects(Protocol):
    def list(self, prefix: str) -> Iterable[ListedObject]: ...

    def get(self, key: str) -> bytes: ...

    def delete(self, keys: Iterable[str]) -> None: ...


def unpark(objects: ParkedObjects, queue: DeadLetterQueue, limit: int, reason: Reason | None = None) -> int:
    """Send up to `limit` parked messages to the queue again. Return their number.

    reason: only lines that were rejected for it.
    """
    bodies = ((listed.key, str(json.loads(objects.get(listed.key))["body"])) for listed in objects.list(PARKED_PREFIX))
    chosen = ((key, body) for key, body in bodies if reason is None or reason_of(body) == reason)
    count = 0
    for key, body in islice(chosen, limit):
        queue.send([body.encode()])
        objects.delete([key])
        count += 1
    return count
