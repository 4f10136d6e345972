"""The head of a curated partition: it names the published version, and is changed on condition only.

Of two runs that want to publish, one changes the head, and the other plans again. The catalog follows:
`lake.session_partition`.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime

from stock_pipeline.domain.document import Document


@dataclass(frozen=True, slots=True)
class Superseded:
    """A version that was published once.

    since: when readers had been pointed elsewhere; None if the catalog is not confirmed yet.
    """

    version: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class PartitionHead:
    """The state of a partition.

    generation: how often versions were deleted or given up here. Part of every later version's name, so that no run
    writes to a prefix that is being emptied.
    version: the published one, or None before the first.
    catalog_confirmed_at: when the catalog was seen to point at it; None until then.
    """

    generation: int = 0
    version: str | None = None
    catalog_confirmed_at: datetime | None = None
    superseded: tuple[Superseded, ...] = ()
    deleted: tuple[str, ...] = ()
    """Versions that the last deletion began with; they may still be there, and are not published again."""

    def publishing(self, version: str, generation: int | None = None) -> "PartitionHead":
        """Publish another version, which the catalog does not point at yet."""
        others = tuple(old for old in self.superseded if old.version != version)
        if self.version not in (None, version):
            others += (Superseded(str(self.version), None),)
        generation = self.generation if generation is None else generation
        return replace(self, generation=generation, version=version, catalog_confirmed_at=None, superseded=others)

    def confirmed(self, now: datetime) -> "PartitionHead":
        """Note that the catalog was seen to point at the version."""
        superseded = tuple(Superseded(old.version, old.since or now) for old in self.superseded)
        return replace(self, catalog_confirmed_at=now, superseded=superseded)

    def unconfirmed(self, location_version: str | None) -> "PartitionHead":
        """Note that the catalog points at another version, whose time as superseded starts anew."""
        superseded = tuple(
            Superseded(old.version, None if old.version == location_version else old.since) for old in self.superseded
        )
        return replace(self, catalog_confirmed_at=None, superseded=superseded)

    def deleting(self, versions: frozenset[str]) -> "PartitionHead":
        """Raise the generation, before these versions are deleted."""
        kept = tuple(old for old in self.superseded if old.version not in versions)
        return replace(self, generation=self.generation + 1, superseded=kept, deleted=tuple(sorted(versions)))

    def to_json(self) -> bytes:
        document = {
            "generation": self.generation,
            "version": self.version,
            "settled_at": _text(self.catalog_confirmed_at),
            "superseded": [{"version": old.version, "since": _text(old.since)} for old in self.superseded],
            "deleted": list(self.deleted),
        }
        return json.dumps(document, indent=1).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "PartitionHead":
        """Read a head; `ValueError` says why it is torn. What a newer release added is left out."""
        document = Document.parse(body)
        return cls(
            generation=document.whole("generation"),
            version=document.digits_or_none("version"),
            catalog_confirmed_at=document.time_or_none("settled_at"),
            superseded=tuple(
                Superseded(old.digits("version"), old.time_or_none("since")) for old in document.objects("superseded")
            ),
            deleted=document.digits_of_each("deleted", []),  # missing in heads of older releases
        )


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
