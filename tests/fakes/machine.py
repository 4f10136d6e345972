"""Time that passes only by waiting, ids that count, and no chance."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from stock_pipeline.local.event_source.machine import Machine

START = datetime(2026, 11, 20, 15, 0, 0, 21_000, tzinfo=UTC)


class SteppedTime:
    """A clock that the test moves. `waits` lists the waits in seconds."""

    def __init__(self, start: datetime = START) -> None:
        self.at = start
        self.waits: list[float] = []
        self._ids = 0

    def now(self) -> datetime:
        return self.at

    def pass_by(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.pass_by(seconds)

    def new_uuid(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)

    def machine(self) -> Machine:
        return Machine(now=self.now, wait=self.wait, new_uuid=self.new_uuid, jitter=lambda: 0.0)
