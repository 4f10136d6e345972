"""How far one shard is done. Storing checkpoints is up to the caller."""

from collections import deque
from collections.abc import Iterable

from stock_pipeline.local.event_source.shard_record import ShardRecord


class Checkpoint:
    """The last record of a shard up to which everything is done.

    It only moves over a gapless run of finished records, because lanes finish out of order.
    """

    def __init__(self) -> None:
        self._unfinished: deque[str] = deque()
        self._finished_ahead: set[str] = set()

    def __len__(self) -> int:
        """Count the records that were read after the checkpoint."""
        return len(self._unfinished)

    def read(self, records: Iterable[ShardRecord]) -> None:
        self._unfinished.extend(record.sequence_number for record in records)

    def finish(self, records: Iterable[ShardRecord]) -> str | None:
        """Return the sequence number to move to, or None to stay."""
        self._finished_ahead.update(record.sequence_number for record in records)
        reached = None
        while self._unfinished and self._unfinished[0] in self._finished_ahead:
            reached = self._unfinished.popleft()
            self._finished_ahead.remove(reached)
        return reached
