"""The head of a curated partition: which version is the published one. It is changed on condition only.

The catalog can't be changed on condition, so it does not decide: it follows the head. Two runs that both want to
publish race for the head, one wins, and the other plans again.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Superseded:
    """A version that was published once. since: when readers had been sent elsewhere, or None if not all are yet."""

    version: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class PartitionHead:
    """generation: how often versions were collected here; part of the name of every version planned after that, so that
    no run writes into a place that is being emptied.
    version: the published one, or None before the first.
    catalog_confirmed_at: when the catalog was seen to send readers there, or None while that is still to be done.
    """

    generation: int = 0
    version: str | None = None
    catalog_confirmed_at: datetime | None = None
    superseded: tuple[Superseded, ...] = ()

    def publishing(self, version: str) -> "PartitionHead":
        """With another version published. Readers are still to be sent to it."""
        others = tuple(old for old in self.superseded if old.version != version)
        if self.version not in (None, version):
            others += (Superseded(str(self.version), None),)
        return replace(self, version=version, catalog_confirmed_at=None, superseded=others)

    def confirmed(self, now: datetime) -> "PartitionHead":
        """After the catalog was seen to send readers to the version."""
        superseded = tuple(Superseded(old.version, old.since or now) for old in self.superseded)
        return replace(self, catalog_confirmed_at=now, superseded=superseded)

    def unconfirmed(self, location_version: str | None) -> "PartitionHead":
        """After the catalog was seen to send readers to another version, whose time as superseded starts anew."""
        superseded = tuple(
            Superseded(old.version, None if old.version == location_version else old.since) for old in self.superseded
        )
        return replace(self, catalog_confirmed_at=None, superseded=superseded)

    def deleting(self, versions: frozenset[str]) -> "PartitionHead":
        """Before these versions are deleted."""
        kept = tuple(old for old in self.superseded if old.version not in versions)
        return replace(self, generation=self.generation + 1, superseded=kept)

    def to_json(self) -> bytes:
        document = {
            "generation": self.generation,
            "version": self.version,
            "settled_at": _text(self.catalog_confirmed_at),
            "superseded": [{"version": old.version, "since": _text(old.since)} for old in self.superseded],
        }
        return json.dumps(document, indent=1).encode()

    @classmethod
    def from_json(cls, document: bytes) -> "PartitionHead":
        fields: dict[str, Any] = json.loads(document)
        return cls(
            generation=fields["generation"],
            version=fields["version"],
            catalog_confirmed_at=_time(fields["settled_at"]),
            superseded=tuple(Superseded(old["version"], _time(old["since"])) for old in fields["superseded"]),
        )


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
