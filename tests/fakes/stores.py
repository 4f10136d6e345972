"""In-memory twins of the AWS adapters, with failures on demand. The contract tests hold them to the real ones."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import md5
from pathlib import Path

from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.domain.symbol_state import StoredState, SymbolKey, SymbolState
from stock_pipeline.errors import RetryableError, StateConflictError
from stock_pipeline.state.rows import Kinds, NewState, rows_of_trades, trades_of_rows
from stock_pipeline.state.stored_item import StoredItem, packed


class FakeObjectStore:
    """`now`: the time that objects written from now on carry."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.modified: dict[str, datetime] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.now = datetime(2018, 1, 2, 22, tzinfo=UTC)

    def put_if_absent(self, key: str, body: bytes) -> bool:
        if key in self.objects:
            return False
        self.put(key, body)
        return True

    def replace(self, key: str, body: bytes, etag: str) -> bool:
        if key not in self.objects or _etag(self.objects[key]) != etag:
            return False
        self.put(key, body)
        return True

    def upload_if_absent(self, key: str, path: Path) -> bool:
        return self.put_if_absent(key, path.read_bytes())

    def put(self, key: str, body: bytes) -> None:
        self.objects[key] = body
        self.modified[key] = self.now
        self.tags.pop(key, None)

    def get(self, key: str) -> bytes:
        return self.objects[key]

    def get_if_there(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def tail(self, key: str, size: int, etag: str | None = None) -> bytes:
        return self._with_etag(key, etag)[-size:]

    def read(self, key: str) -> tuple[bytes, str] | None:
        body = self.objects.get(key)
        return None if body is None else (body, _etag(body))

    def download(self, key: str, path: Path, etag: str | None = None) -> None:
        path.write_bytes(self._with_etag(key, etag))

    def _with_etag(self, key: str, etag: str | None) -> bytes:
        body = self.objects.get(key)
        if body is None or etag not in (None, _etag(body)):
            raise RetryableError(f"{key} was removed or replaced meanwhile; try again")
        return body

    def tag(self, keys: Iterable[str], name: str, value: str) -> None:
        for key in keys:
            if key in self.objects:
                self.tags[key] = {name: value}

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)

    def list(self, prefix: str, start_after: str = "") -> Iterator[ListedObject]:
        for key in sorted(self.objects):
            if key.startswith(prefix) and key > start_after:
                body = self.objects[key]
                yield ListedObject(key, len(body), _etag(body), self.modified[key])

    def folders(self, prefix: str, depth: int) -> Iterator[str]:
        below = [key.removeprefix(prefix).split("/") for key in self.objects if key.startswith(prefix)]
        yield from sorted({prefix + "/".join(parts[:depth]) + "/" for parts in below if len(parts) > depth})

    def uri(self, key: str) -> str:
        return f"s3://bucket/{key}"


def _etag(body: bytes) -> str:
    return md5(body, usedforsecurity=False).hexdigest()


class FakeQueue:
    def __init__(self) -> None:
        self.documents: list[bytes] = []

    def send(self, documents: Sequence[bytes]) -> None:
        self.documents.extend(documents)


class FakeStateTable:
    """`interfere`: called before each write; a test may write there first, as another Lambda would."""

    def __init__(self) -> None:
        self.held: dict[SymbolKey, StoredState] = {}
        self.writes = 0

    def interfere(self, state: SymbolState) -> None:
        pass

    def read(self, keys: Sequence[SymbolKey]) -> Mapping[SymbolKey, StoredState]:
        return {key: self.held[key] for key in keys if key in self.held}

    def read_once(self, keys: Sequence[SymbolKey]) -> tuple[Mapping[SymbolKey, StoredItem], Sequence[SymbolKey]]:
        return {key: _item(held) for key, held in self.read(keys).items()}, ()

    def revision(self, key: SymbolKey) -> str | None:
        return self.held[key].revision if key in self.held else None

    def write(self, state: SymbolState, replaces: str | None) -> None:
        self.interfere(state)
        held = self.held.get(state.key)
        if (held.revision if held else None) != replaces:
            raise StateConflictError("written by somebody else")
        self.held[state.key] = StoredState(state, state.revision)
        self.writes += 1

    def put(self, state: NewState, replaces: str | None) -> StoredItem:
        window, older = (trades_of_rows(state.key, rows, state.kinds) for rows in (state.window, state.older))
        self.write(SymbolState(state.key, window, older), replaces)
        return _item(self.held[state.key])


def _item(held: StoredState) -> StoredItem:
    kinds = Kinds()
    window, older = (packed(rows_of_trades(rows, kinds), kinds) for rows in (held.state.window, held.state.older))
    return StoredItem(held.state.key, held.revision, window, older)


class FakeCatalog:
    """Partitions of `trades` (`locations`, `since`) and of `unpublished_trades` (`unpublished`).

    of: another catalog, to be one with.
    broken: sessions of which no unpublished partition can be changed.
    """

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime(2018, 1, 2, 22, tzinfo=UTC),
        of: "FakeCatalog | None" = None,
    ) -> None:
        self.now = of.now if of else now
        self.locations: dict[date, str] = of.locations if of else {}
        self.since: dict[date, datetime] = of.since if of else {}
        self.unpublished: dict[date, str] = of.unpublished if of else {}
        self.years: list[int] = of.years if of else [2026, 2035]
        self.broken: set[date] = of.broken if of else set()
        self.publications = 0

    def published_location(self, session_date: date) -> str | None:
        return self.locations.get(session_date)

    def publish(self, session_date: date, location: str) -> None:
        self.since.setdefault(session_date, self.now())
        self.locations[session_date] = location
        self.publications += 1

    def register(self, locations: Mapping[date, str]) -> int:
        missing = {day: location for day, location in locations.items() if day not in self.locations}
        self.locations.update(missing)
        self.since.update(dict.fromkeys(missing, self.now()))
        return len(missing)

    def published_since(self, sessions: Iterable[date]) -> dict[date, datetime]:
        return {day: self.since.get(day, self.now()) for day in sessions if day in self.locations}

    def unpublished_sessions(self) -> frozenset[date]:
        return frozenset(self.unpublished)

    def register_unpublished(self, locations: Mapping[date, str]) -> list[str]:
        for day in sorted(locations.keys() - self.broken):
            self.unpublished.setdefault(day, locations[day])
        return [f"{day}: InternalServiceException" for day in sorted(locations.keys() & self.broken)]

    def drop_unpublished(self, sessions: Iterable[date]) -> list[str]:
        for day in (every := set(sessions)) - self.broken:
            self.unpublished.pop(day, None)
        return [f"{day}: InternalServiceException" for day in sorted(every & self.broken)]

    def widen_years(self, first: int, last: int) -> None:
        self.years[:] = min(first, self.years[0]), max(last, self.years[1])
