"""What redrive published lately, and how often, by the hash of its bytes.

A batch that fails again comes back as a new object and a new message, with other neighbours, whole or in halves. Only
its lines stay the same. What each run did with a message is the ledger's.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date

from stock_pipeline.domain.lake_layout import REDRIVEN_KEY, reopened_key
from stock_pipeline.redrive.ports import LedgerObjects

MAX_HASHES = 100_000
"""Some 2 MB. Older ones are forgotten, which costs a line that comes back more tries, and nothing else."""

_HASH_BYTES = 8
"""Enough: among so many, two lines share a hash once in billions of runs."""


class Redriven:
    """Counts of published bytes, by hash. One object, read and written once a run.

    A run counts the same bytes once, because copies of a message are no tries. Of two runs at the same time one forgets
    what the other counted, which costs a try.

    objects: also told, at once, which sessions have new trades.
    """

    def __init__(self, objects: LedgerObjects, times: Mapping[str, int]) -> None:
        self._objects = objects
        self._reopened: set[date] = set()
        self._before = times
        self._added: dict[str, None] = {}
        self._parked: set[str] = set()

    @classmethod
    def load(cls, objects: LedgerObjects) -> "Redriven":
        """Read the counts. An object that can't be understood counts nothing."""
        body = objects.get_if_there(REDRIVEN_KEY)
        try:
            times = json.loads(body)["times"] if body else {}
            return cls(objects, {name: int(count) for name, count in times.items()})
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(objects, {})

    def times(self, content: bytes) -> int:
        """Return how often earlier runs published it."""
        return self._before.get(_hash(content), 0)

    def knows(self, content: bytes) -> bool:
        """Return whether this run or an earlier one published it."""
        name = _hash(content)
        return name in self._before or name in self._added

    def add(self, contents: Iterable[bytes]) -> None:
        self._added.update(dict.fromkeys(map(_hash, contents)))

    def park(self, contents: Iterable[bytes]) -> None:
        """Let later runs begin anew with these, because somebody repairs the cause first."""
        self._parked.update(map(_hash, contents))

    def reopen(self, sessions: Iterable[date]) -> None:
        """Tell that raw files of these sessions are to come, so that somebody looks for them."""
        for session_date in sorted({*sessions} - self._reopened):
            self._objects.put(reopened_key(session_date), b"")
            self._reopened.add(session_date)

    def save(self) -> None:
        if not self._added and not self._parked:
            return
        times = dict(self._before)
        for name in self._added:
            # the newest last, because the oldest are forgotten first
            times[name] = times.pop(name, 0) + 1
        newest = [(name, count) for name, count in times.items() if name not in self._parked][-MAX_HASHES:]
        self._objects.put(REDRIVEN_KEY, json.dumps({"times": dict(newest)}).encode())


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_HASH_BYTES).hexdigest()
