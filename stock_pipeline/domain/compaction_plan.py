"""What compaction would do, decided from a listing and the published manifest alone.

A version is named by the hash of all raw files that ever went into it, so the same files always name the same version:
planning again after a success plans nothing, and planning again after a crash plans the same.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from stock_pipeline.domain.lake_layout import VersionPrefix

LAYOUT = "trades-1"
"""Part of every version's name: change it when the rows of a version would change for the same inputs."""


@dataclass(frozen=True, slots=True, order=True)
class InputFile:
    """A raw file as it was listed. Key and content together are its identity."""

    key: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a curated version is made of; it lies beside the version's data.

    inputs: every raw file whose trades are in the version, those of earlier versions included.
    replaces: the version that it was built on, or None for the first.
    rows, volume: of the version's data, after its proof.
    """

    session_date: date
    version: str
    replaces: str | None
    inputs: tuple[InputFile, ...]
    rows: int
    volume: int

    def to_json(self) -> bytes:
        document = asdict(self) | {"session_date": self.session_date.isoformat()}
        return json.dumps(document, indent=1).encode()

    @classmethod
    def from_json(cls, document: bytes) -> "Manifest":
        fields: dict[str, Any] = json.loads(document)
        fields["session_date"] = date.fromisoformat(fields["session_date"])
        fields["inputs"] = tuple(InputFile(**entry) for entry in fields["inputs"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class CompactionPlan:
    """One partition's next version.

    base: the published version whose rows it starts from. new_files: raw files that are not in it yet.
    inputs: all raw files that will be in the new version.
    """

    target: VersionPrefix
    base: VersionPrefix | None
    new_files: tuple[InputFile, ...]
    inputs: tuple[InputFile, ...]


def plan_compaction(
    session_date: date, listing: Iterable[InputFile], published: Manifest | None
) -> CompactionPlan | None:
    """The next version of a partition, or None if the published one has everything that is listed."""
    held = frozenset(published.inputs) if published else frozenset()
    new_files = tuple(sorted(set(listing) - held))
    if not new_files:
        return None
    inputs = tuple(sorted(held.union(new_files)))
    return CompactionPlan(
        target=VersionPrefix(session_date, version_of(session_date, inputs)),
        base=VersionPrefix(session_date, published.version) if published else None,
        new_files=new_files,
        inputs=inputs,
    )


def version_of(session_date: date, inputs: Iterable[InputFile]) -> str:
    """16 hexadecimal digits that stand for this set of raw files of this session."""
    digest = hashlib.sha256(f"{LAYOUT} {session_date}\n".encode())
    for file in sorted(inputs):
        digest.update(f"{file.key} {file.etag} {file.size}\n".encode())
    return digest.hexdigest()[:16]
