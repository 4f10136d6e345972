"""The clock of all tests: time passes only while somebody waits, or when the test says so."""

from datetime import UTC, datetime, timedelta

SECOND = 10**9
START = datetime(2026, 1, 1, 15, tzinfo=UTC)
START_NS = 1_767_279_600 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """`ns` is the time since the epoch; `waits` lists the waits in seconds."""

    def __init__(self, ns: int = START_NS) -> None:
        self.ns = ns
        self.waits: list[float] = []

    def now_ns(self) -> int:
        return self.ns

    def now(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.ns // 1000)

    def pass_by(self, seconds: float) -> None:
        self.ns += round(seconds * SECOND)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.pass_by(seconds)
