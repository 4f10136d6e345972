"""Runs that take turns: what they do to the object store and the catalog happens in an order that the test chooses."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime

from tests.fakes.stores import FakeCatalog, FakeObjectStore


class Turns:
    """schedule: whose step comes next; who has finished is passed over, and after its end the first goes first.
    after_step: called between any two steps, while nobody else does anything."""

    def __init__(self, players: int, schedule: Sequence[int], after_step: Callable[[], None] = lambda: None) -> None:
        self._schedule = list(schedule)
        self._playing = set(range(players))
        self._after_step = after_step
        self._changed = threading.Condition()
        self._errors: list[BaseException] = []

    def step(self, player: int, work: Callable[[], object]) -> object:
        with self._changed:
            assert self._changed.wait_for(lambda: self._next() == player, timeout=60), "a run waits for ever"
            try:
                result = work()
                self._after_step()
                return result
            finally:
                if self._schedule:
                    self._schedule.pop(0)
                self._changed.notify_all()

    def play(self, *runs: Callable[[], object]) -> None:
        """Each run in a thread of its own, to its end; raises what one of them raised."""
        threads = [threading.Thread(target=self._run, args=(number, run)) for number, run in enumerate(runs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _run(self, player: int, run: Callable[[], object]) -> None:
        try:
            run()
        except BaseException as error:
            self._errors.append(error)
        finally:
            with self._changed:
                self._playing.discard(player)
                self._changed.notify_all()

    def _next(self) -> int:
        while self._schedule and self._schedule[0] not in self._playing:
            self._schedule.pop(0)
        return self._schedule[0] if self._schedule else min(self._playing)


class TurnTakingObjectStore(FakeObjectStore):
    """Heads and writes take turns. Downloads don't: what they read is never changed."""

    def __init__(self, lake: FakeObjectStore, turns: Turns, player: int) -> None:
        self.objects, self.modified, self.tags, self.now = lake.objects, lake.modified, lake.tags, lake.now
        self._turns, self._player = turns, player

    def read(self, key: str) -> tuple[bytes, str] | None:
        return self._turns.step(self._player, lambda: FakeObjectStore.read(self, key))  # type: ignore[return-value]

    def put_if_absent(self, key: str, body: bytes) -> bool:
        return bool(self._turns.step(self._player, lambda: FakeObjectStore.put_if_absent(self, key, body)))

    def replace(self, key: str, body: bytes, etag: str) -> bool:
        return bool(self._turns.step(self._player, lambda: FakeObjectStore.replace(self, key, body, etag)))

    def delete(self, keys: "Sequence[str]") -> None:  # type: ignore[override]
        for key in keys:
            self._turns.step(self._player, lambda key=key: FakeObjectStore.delete(self, [key]))  # type: ignore[misc]


class TurnTakingCatalog(FakeCatalog):
    def __init__(self, catalog: FakeCatalog, turns: Turns, player: int) -> None:
        super().__init__(of=catalog)
        self._turns, self._player = turns, player

    def published_location(self, session_date: date) -> str | None:
        return self._turns.step(self._player, lambda: self.locations.get(session_date))  # type: ignore[return-value]

    def publish(self, session_date: date, location: str) -> None:
        self._turns.step(self._player, lambda: FakeCatalog.publish(self, session_date, location))

    def published_since(self, sessions: Iterable[date]) -> dict[date, datetime]:
        return self._turns.step(self._player, lambda: FakeCatalog.published_since(self, sessions))  # type: ignore[return-value]

    def register_unpublished(self, locations: Mapping[date, str]) -> list[str]:
        return self._turns.step(self._player, lambda: FakeCatalog.register_unpublished(self, locations))  # type: ignore[return-value]

    def drop_unpublished(self, sessions: Iterable[date]) -> list[str]:
        return self._turns.step(self._player, lambda: FakeCatalog.drop_unpublished(self, sessions))  # type: ignore[return-value]
