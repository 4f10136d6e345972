"""Parked messages back into the dead-letter queue, once the cause of their failure is repaired.

They are new messages, without earlier tries. One that can't be sent stays, and others go on. A crash may leave one in
both places: redriving it twice is harmless.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Unparked:
    """Result of bringing messages back.

    failed: keys of those that stay, each with the reason.
    """

    messages: int
    failed: tuple[str, ...]


def unpark(objects: ParkedObjects, queue: DeadLetterQueue, limit: int, reason: Reason | None = None) -> Unparked:
    """Send up to `limit` parked messages to the queue again.

    reason: only lines that were rejected for it.
    """
    count = 0
    failed: list[str] = []
    for listed in objects.list(PARKED_PREFIX):
        if count >= limit:
            break
        try:
            body = str(json.loads(objects.get(listed.key))["body"])
            if reason is not None and reason_of(body) != reason:
                continue
            queue.send([body.encode()])
            objects.delete([listed.key])
        except Exception as error:
            failed.append(f"{listed.key}: {type(error).__name__}: {error}")
        else:
            count += 1
    return Unparked(count, tuple(failed))
