"""What compaction would do, decided from a listing, the partition's head and the published manifest alone.

A version is named by the hash of all raw files that ever went into it, so the same files always name the same version:
planning again after a success plans nothing, and planning again after a crash plans the same.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, NamedTuple

from stock_pipeline.domain.lake_layout import CURATED_FILE, VersionPrefix
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.domain.partition_head import PartitionHead
from stock_pipeline.domain.trades_digest import TradesDigest

LAYOUT = "trades-2"
"""Part of every version's name: change it when the rows of a version would change for the same inputs."""


LOCAL, ATHENA = "local", "athena"
"""The engines."""


class InputFile(NamedTuple):
    """A raw file as it was listed. Key and content together are its identity."""

    key: str
    etag: str
    size: int

    @classmethod
    def of(cls, listed: ListedObject) -> "InputFile":
        return cls(listed.key, listed.etag, listed.size)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a curated version is made of; it lies beside the version's data.

    inputs: every raw file whose trades are in the version, those of earlier versions included.
    unreadable: raw files that could not be read, and that an operator allowed to be missing.
    replaces: the version that it was built on, or None for the first.
    digest: of the version's data, after its proof.
    data_bytes: the size of the version's data. data_files: the names of its objects.
    engine: who wrote it and made the digest; each engine has a hash of its own.
    """

    session_date: date
    version: str
    replaces: str | None
    inputs: tuple[InputFile, ...]
    unreadable: tuple[InputFile, ...]
    digest: TradesDigest
    data_bytes: int
    data_files: tuple[str, ...] = (CURATED_FILE,)
    engine: str = LOCAL

    @property
    def data_keys(self) -> list[str]:
        prefix = VersionPrefix(self.session_date, self.version).prefix
        return [prefix + name for name in self.data_files]

    @property
    def known_files(self) -> frozenset[InputFile]:
        """The raw files that are dealt with."""
        return frozenset(self.inputs + self.unreadable)

    def to_json(self) -> bytes:
        document = {_JSON_KEYS.get(field.name, field.name): getattr(self, field.name) for field in fields(self)} | {
            "session_date": self.session_date.isoformat(),
            "inputs": [file._asdict() for file in self.inputs],
            "set_aside": [file._asdict() for file in self.unreadable],
            "digest": self.digest.to_document(),
        }
        return json.dumps(document).encode()

    @classmethod
    def from_json(cls, document: bytes) -> "Manifest":
        values: dict[str, Any] = json.loads(document)
        values["session_date"] = date.fromisoformat(values["session_date"])
        values["digest"] = TradesDigest.from_document(values["digest"])
        values["inputs"] = _input_files(values["inputs"])
        values["unreadable"] = _input_files(values.pop("set_aside"))
        if "data_files" in values:  # there since Athena writes versions, too
            values["data_files"] = tuple(values["data_files"])
        return cls(**values)


def _input_files(entries: list[dict[str, Any]]) -> tuple[InputFile, ...]:
    return tuple(InputFile(**entry) for entry in entries)


_JSON_KEYS = {"unreadable": "set_aside"}
"""The fields whose name in the file is another one."""


@dataclass(frozen=True, slots=True)
class CompactionPlan:
    """One partition's next version.

    base: the published version whose rows it starts from. new_files: raw files that are not in it yet.
    base_inputs, base_unreadable: the raw files that the base has, and those that it does without.
    """

    session_date: date
    generation: int
    base: VersionPrefix | None
    new_files: tuple[InputFile, ...]
    base_inputs: tuple[InputFile, ...] = ()
    base_unreadable: tuple[InputFile, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.new_files

    def inputs(self, unreadable: frozenset[InputFile] = frozenset()) -> tuple[InputFile, ...]:
        """All raw files that will be in the new version."""
        return tuple(sorted({*self.base_inputs, *self.new_files} - unreadable))

    def all_unreadable(self, unreadable: frozenset[InputFile] = frozenset()) -> tuple[InputFile, ...]:
        return tuple(sorted({*self.base_unreadable, *unreadable}))

    def target(self, unreadable: frozenset[InputFile] = frozenset(), attempt: str = "") -> VersionPrefix:
        """Where the new version goes, if these of the new files turn out to be unreadable.

        attempt: for writers that can't write on condition, and need a place that nobody else writes to.
        """
        inputs, every_unreadable = self.inputs(unreadable), self.all_unreadable(unreadable)
        version = version_of(self.session_date, self.generation, inputs, every_unreadable, attempt)
        return VersionPrefix(self.session_date, version)


def plan_compaction(
    session_date: date, listing: Iterable[InputFile], head: PartitionHead, published: Manifest | None
) -> CompactionPlan:
    """Return the next version of a partition; the plan is empty if the published one has everything that is listed."""
    known = published.known_files if published else frozenset()
    new_files = tuple(sorted(set(listing) - known))
    return CompactionPlan(
        session_date=session_date,
        generation=head.generation,
        base=VersionPrefix(session_date, published.version) if published else None,
        new_files=new_files,
        base_inputs=published.inputs if published else (),
        base_unreadable=published.unreadable if published else (),
    )


def version_of(
    session_date: date,
    generation: int,
    inputs: Iterable[InputFile],
    unreadable: Iterable[InputFile] = (),
    attempt: str = "",
) -> str:
    """16 hexadecimal digits that stand for this set of raw files of this session."""
    digest = hashlib.sha256(f"{LAYOUT} {session_date} {generation}\n{attempt}".encode())
    for kind, files in (("in", inputs), ("aside", unreadable)):
        for file in sorted(files):
            digest.update(f"{kind} {file.key} {file.etag} {file.size}\n".encode())
    return digest.hexdigest()[:16]
