"""In-memory twins of the AWS adapters, with failures on demand. The contract tests hold them to the real ones."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from hashlib import md5
from typing import NamedTuple

from stock_pipeline.domain.symbol_state import HeldState, SymbolKey, SymbolState
from stock_pipeline.errors import StateConflictError


class Listed(NamedTuple):
    key: str
    size: int
    etag: str


class FakeObjectStore:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_if_absent(self, key: str, body: bytes) -> bool:
        if key in self.objects:
            return False
        self.objects[key] = body
        return True

    def put(self, key: str, body: bytes) -> None:
        self.objects[key] = body

    def get(self, key: str) -> bytes:
        return self.objects[key]

    def get_if_there(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def list(self, prefix: str) -> Iterator[Listed]:
        for key in sorted(self.objects):
            if key.startswith(prefix):
                body = self.objects[key]
                yield Listed(key, len(body), md5(body, usedforsecurity=False).hexdigest())

    def uri(self, key: str) -> str:
        return f"s3://bucket/{key}"


class FakeQueue:
    def __init__(self) -> None:
        self.documents: list[bytes] = []

    def send(self, documents: Sequence[bytes]) -> None:
        self.documents.extend(documents)


class FakeStateTable:
    """`interfere`: called before each write; a test may write there first, as another Lambda would."""

    def __init__(self) -> None:
        self.held: dict[SymbolKey, HeldState] = {}
        self.writes = 0

    def interfere(self, state: SymbolState) -> None:
        pass

    def read(self, keys: Sequence[SymbolKey]) -> Mapping[SymbolKey, HeldState]:
        return {key: self.held[key] for key in keys if key in self.held}

    def write(self, state: SymbolState, replaces: str | None) -> None:
        self.interfere(state)
        held = self.held.get(state.key)
        if (held.revision if held else None) != replaces:
            raise StateConflictError("written by somebody else")
        self.held[state.key] = HeldState(state, state.revision)
        self.writes += 1


class FakeCatalog:
    def __init__(self) -> None:
        self.locations: dict[date, str] = {}
        self.publications = 0

    def published_location(self, session_date: date) -> str | None:
        return self.locations.get(session_date)

    def publish(self, session_date: date, location: str) -> None:
        self.locations[session_date] = location
        self.publications += 1
