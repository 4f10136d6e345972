"""Clock, waiting, new ids and chance, which a test replaces.

The event source poller takes them from nowhere else.
"""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Machine:
    """Source of time, ids and chance.

    now: returns a time in UTC.
    wait: takes seconds.
    jitter: returns a number x, 0 <= x < 1.
    """

    now: Callable[[], datetime]
    wait: Callable[[float], None]
    new_uuid: Callable[[], uuid.UUID]
    jitter: Callable[[], float]

    @classmethod
    def real(cls) -> "Machine":
        """Return those of the operating system."""
        return cls(now=lambda: datetime.now(UTC), wait=time.sleep, new_uuid=uuid.uuid4, jitter=random.Random().random)
