"""What a machine provides and a test replaces: the clock, waiting, new ids, chance.

Nothing else in the event source poller asks the machine for any of these.
"""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Machine:
    """`jitter` gives numbers of 0 <= x < 1; `wait` takes seconds; `now` gives a time in UTC."""

    now: Callable[[], datetime]
    wait: Callable[[float], None]
    new_uuid: Callable[[], uuid.UUID]
    jitter: Callable[[], float]

    @classmethod
    def real(cls) -> "Machine":
        return cls(now=lambda: datetime.now(UTC), wait=time.sleep, new_uuid=uuid.uuid4, jitter=random.Random().random)
