"""Reads the heads of curated partitions, and changes them on condition."""

from dataclasses import dataclass
from datetime import date

from stock_pipeline.domain.lake_layout import head_key
from stock_pipeline.domain.partition_head import PartitionHead
from stock_pipeline.errors import PublishConflictError
from stock_pipeline.lake.lake_access import Lake


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A head with the etag it was read with; None if there was no head."""

    session_date: date
    head: PartitionHead
    etag: str | None


@dataclass(frozen=True)
class PartitionHeads:
    lake: Lake

    def read(self, session_date: date) -> StoredHead:
        found = self.lake.read(head_key(session_date))
        if found is None:
            return StoredHead(session_date, PartitionHead(), None)
        return StoredHead(session_date, PartitionHead.from_json(found[0]), found[1])

    def change(self, stored: StoredHead, head: PartitionHead) -> None:
        """Replace the head that was read; `PublishConflictError` if another run changed it first."""
        key, body = head_key(stored.session_date), head.to_json()
        if stored.etag is None:
            changed = self.lake.put_if_absent(key, body)
        else:
            changed = self.lake.replace(key, body, stored.etag)
        if not changed:
            raise PublishConflictError(f"session {stored.session_date} was changed by another run meanwhile; run again")
