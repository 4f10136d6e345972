"""The one kind of crash, and an object store and a catalog that crash before or after a chosen side effect."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import count

from tests.fakes.stores import FakeCatalog, FakeObjectStore


class Crashed(BaseException):
    """The process is gone. No `except Exception` may stop it."""


@dataclass
class Fuse:
    """Burns through at the `at`-th side effect. happened: what was done so far, or was about to be."""

    at: int = 0
    after: bool = False
    count: int = 0
    happened: str = ""

    @contextmanager
    def around(self, effect: str) -> Iterator[None]:
        self.count += 1
        self.happened = effect
        if self.count == self.at and not self.after:
            raise Crashed(effect)
        yield
        if self.count == self.at and self.after:
            raise Crashed(effect)


def fuses(fewest: int, after: Sequence[bool] = (False, True)) -> Iterator[Fuse]:
    """A fuse for every side effect of the work that the caller does with it, and a last one that outlives the work."""
    for side in after:
        for at in count(1):
            fuse = Fuse(at, side)
            yield fuse
            if fuse.count < at:
                assert at > fewest, "the work has fewer side effects than the test believes"
                break


class CrashingObjectStore(FakeObjectStore):
    def __init__(self, lake: FakeObjectStore, fuse: Fuse) -> None:
        self.objects, self.modified, self.tags, self.now = lake.objects, lake.modified, lake.tags, lake.now
        self._fuse = fuse

    def put(self, key: str, body: bytes) -> None:
        """Every way to write an object ends here."""
        with self._fuse.around(f"put {key}"):
            super().put(key, body)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._fuse.around(f"delete {key}"):
                super().delete([key])

    def tag(self, keys: Iterable[str], name: str, value: str) -> None:
        for key in keys:
            with self._fuse.around(f"tag {key}"):
                super().tag([key], name, value)


class CrashingCatalog(FakeCatalog):
    def __init__(self, catalog: FakeCatalog, fuse: Fuse) -> None:
        super().__init__(of=catalog)
        self._fuse = fuse

    def publish(self, session_date: date, location: str) -> None:
        with self._fuse.around(f"publish {location}"):
            super().publish(session_date, location)

    def register_unpublished(self, locations: Mapping[date, str]) -> list[str]:
        return [text for day in sorted(locations) for text in self._one(day, locations[day])]

    def drop_unpublished(self, sessions: Iterable[date]) -> list[str]:
        return [text for day in sorted(sessions) for text in self._one(day, None)]

    def _one(self, session_date: date, location: str | None) -> list[str]:
        """Each partition is an effect of its own, since one call for many may get as far as it will."""
        with self._fuse.around(f"{'drop' if location is None else 'register'} {session_date}"):
            if location is None:
                return super().drop_unpublished([session_date])
            return super().register_unpublished({session_date: location})
