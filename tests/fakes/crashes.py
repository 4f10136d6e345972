"""An object store and a catalog that lose their process at a chosen side effect, before or after it took place."""

from collections.abc import Iterable
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
        super().__init__()
        self.locations = catalog.locations
        self._fuse = fuse

    def publish(self, session_date: date, location: str) -> None:
        self._fuse.before(f"publish {location}")
        super().publish(session_date, location)
        self._fuse.done()
