"""An object store and a catalog that lose their process at a chosen side effect, before or after it took place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from tests.fakes.stores import FakeCatalog, FakeObjectStore


class Crashed(Exception):
    """The process is gone. Not an error of the pipeline's, so that nothing catches it."""


@dataclass
class Fuse:
    """Burns through at the `at`-th side effect. happened: what was done so far, or was about to be."""

    at: int
    after: bool
    count: int = 0
    happened: str = ""

    def before(self, effect: str) -> None:
        self.count += 1
        self.happened = effect
        if self.count == self.at and not self.after:
            raise Crashed(effect)

    def done(self) -> None:
        if self.count == self.at and self.after:
            raise Crashed(self.happened)


class CrashingObjectStore(FakeObjectStore):
    def __init__(self, lake: FakeObjectStore, fuse: Fuse) -> None:
        self.objects, self.modified, self.now = lake.objects, lake.modified, lake.now
        self._fuse = fuse

    def put(self, key: str, body: bytes) -> None:
        """Every way to write an object ends here."""
        self._fuse.before(f"put {key}")
        super().put(key, body)
        self._fuse.done()

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._fuse.before(f"delete {key}")
            super().delete([key])
            self._fuse.done()


class CrashingCatalog(FakeCatalog):
    def __init__(self, catalog: FakeCatalog, fuse: Fuse) -> None:
        super().__init__(of=catalog)
        self._fuse = fuse

    def publish(self, session_date: date, location: str) -> None:
        self._fuse.before(f"publish {location}")
        super().publish(session_date, location)
        self._fuse.done()

    def register_unpublished(self, locations: Mapping[date, str]) -> list[str]:
        return [text for day in sorted(locations) for text in self._one(day, locations[day])]

    def drop_unpublished(self, sessions: Iterable[date]) -> list[str]:
        return [text for day in sorted(sessions) for text in self._one(day, None)]

    def _one(self, session_date: date, location: str | None) -> list[str]:
        """Each partition is an effect of its own, since one call for many may get as far as it will."""
        self._fuse.before(f"{'drop' if location is None else 'register'} {session_date}")
        if location is None:
            failed = super().drop_unpublished([session_date])
        else:
            failed = super().register_unpublished({session_date: location})
        self._fuse.done()
        return failed
