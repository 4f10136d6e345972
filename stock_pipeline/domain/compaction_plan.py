"""Plans compaction from a listing, the partition's head and the published manifest.

The hash of its raw files names a version. So planning after a success plans nothing, and after a crash the same.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import date
from typing import NamedTuple

from stock_pipeline.domain.document import Document
from stock_pipeline.domain.lake_layout import CURATED_FILE, VersionPrefix
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.domain.partition_head import PartitionHead
from stock_pipeline.domain.trade import SCHEMA_VERSION
from stock_pipeline.domain.trades_digest import TradesDigest

LAYOUT = "trades-2"
"""Part of every version's name. Change it when the same inputs would give other rows."""


LOCAL, ATHENA = "local", "athena"
"""The engines."""


class InputFile(NamedTuple):
    """A raw file as it was listed. Key and content together identify it."""

    key: str
    etag: str
    size: int

    @classmethod
    def of(cls, listed: ListedObject) -> "InputFile":
        return cls(listed.key, listed.etag, listed.size)


_JSON_KEYS = {"unreadable": "set_aside"}
"""Fields with another name in the file."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of a version, written beside its data.

    inputs: every raw file whose trades are in the version.
    unreadable: raw files that an operator allowed to be missing.
    replaces: the base version, or None for the first.
    digest: of the version's data, after its proof.
    data_bytes: size of the version's data.
    data_files: names of its objects.
    engine: the writer; each engine has its own hash for the digest.
    schema_version: of the columns that the version has.
    lost: raw files of an earlier version whose trades an operator gave up, because no object had them any more.
    data_etags: of its objects, in their order; empty in manifests of older releases.
    newest_schema_version: of its raw files. Where an older release compacted files of a newer one, it is greater.
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
    schema_version: int = 1
    newest_schema_version: int = 1
    lost: tuple[InputFile, ...] = ()
    data_etags: tuple[str, ...] = ()

    @property
    def lacks_columns(self) -> bool:
        """Tell if raw files have columns that the version lacks, so that they must stay."""
        return self.schema_version < self.newest_schema_version

    @property
    def place(self) -> VersionPrefix:
        return VersionPrefix(self.session_date, self.version)

    @property
    def data_keys(self) -> list[str]:
        return [self.place.prefix + name for name in self.data_files]

    def damage(self, objects: Collection[ListedObject]) -> str:
        """Return why readers of these objects would not find what was proved, or ""."""
        return self.data_damage(objects) or self._strays(objects) or self._missing_columns()

    def data_damage(self, objects: Iterable[ListedObject]) -> str:
        """Return why these objects are not the data that was proved, or ""."""
        if self.digest.rows and not self.data_files:
            return f"the manifest of {self.place.prefix} names no data file of its {self.digest.rows:,} rows"
        sizes = {each.key: each.size for each in objects}
        missing = [key for key in self.data_keys if key not in sizes]
        if missing:
            return f"{', '.join(missing)} is missing"
        found = sum(sizes[key] for key in self.data_keys)
        if found != self.data_bytes:
            return (
                f"the data files of {self.place.prefix} have {found:,} bytes, their manifest says {self.data_bytes:,}"
            )
        return ""

    def is_rewritten(self, objects: Iterable[ListedObject]) -> bool:
        """Tell if a data file is not the object that was proved, though it may have its content: look into it."""
        etags = {each.key: each.etag for each in objects}
        return bool(self.data_etags) and [etags.get(key) for key in self.data_keys] != [*self.data_etags]

    def _strays(self, objects: Iterable[ListedObject]) -> str:
        """Return which objects the query engines would read besides the data, or ""."""
        of_version = {*self.data_keys}
        strays = [
            each.key
            for each in objects
            if each.size and each.key not in of_version and each.key.rpartition("/")[2][:1] not in ("_", ".")
        ]
        return f"{', '.join(strays)} is not of it: move it away" if strays else ""

    def _missing_columns(self) -> str:
        if self.schema_version < min(self.newest_schema_version, SCHEMA_VERSION):
            return (
                f"{self.place.prefix} has the columns of schema version {self.schema_version}, its raw files those of "
                f"{self.newest_schema_version}"
            )
        return ""

    @property
    def known_files(self) -> frozenset[InputFile]:
        """Raw files that the version covers. A lost one that comes back is a new one."""
        return frozenset(self.inputs + self.unreadable)

    def to_json(self) -> bytes:
        document = {_JSON_KEYS.get(field.name, field.name): getattr(self, field.name) for field in fields(self)} | {
            "session_date": self.session_date.isoformat(),
            "inputs": [file._asdict() for file in self.inputs],
            "set_aside": [file._asdict() for file in self.unreadable],
            "lost": [file._asdict() for file in self.lost],
            "digest": self.digest.to_document(),
        }
        return json.dumps(document).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "Manifest":
        """Read a manifest; `ValueError` says why it is torn. What a newer release added is left out."""
        document = Document.parse(body)
        return cls(
            session_date=document.date("session_date"),
            version=document.digits("version"),
            replaces=document.digits_or_none("replaces"),
            inputs=_input_files(document.objects("inputs")),
            unreadable=_input_files(document.objects("set_aside")),
            digest=TradesDigest.from_document(document.object("digest")),
            data_bytes=document.whole("data_bytes"),
            # older releases do not write the fields that have a default here
            data_files=document.texts("data_files", [CURATED_FILE]),
            engine=document.text("engine", LOCAL),
            schema_version=document.whole("schema_version", 1),
            newest_schema_version=document.whole("newest_schema_version", 1),
            lost=_input_files(document.objects("lost", [])),
            data_etags=document.texts("data_etags", []),
        )


def _input_files(entries: Iterable[Document]) -> tuple[InputFile, ...]:
    return tuple(InputFile(entry.text("key"), entry.text("etag"), entry.whole("size")) for entry in entries)


@dataclass(frozen=True, slots=True)
class CompactionPlan:
    """The next version of one partition.

    base: manifest of the version that it starts from: the published one, unless that is damaged.
    new_files: raw files that the base does not know.
    lost: raw files of the damaged version, or lost before, that are neither in the base nor there.
    replaces: the published version.
    damage: what is wrong with the published version, or "".
    """

    session_date: date
    generation: int
    base: Manifest | None
    new_files: tuple[InputFile, ...]
    lost: tuple[InputFile, ...] = ()
    replaces: str | None = None
    damage: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.new_files or self.damage)

    @property
    def base_inputs(self) -> tuple[InputFile, ...]:
        """Raw files whose trades are in the base."""
        return self.base.inputs if self.base else ()

    @property
    def size(self) -> int:
        """Bytes to read."""
        return sum(file.size for file in self.new_files) + (self.base.data_bytes if self.base else 0)

    def inputs(self, unreadable: frozenset[InputFile] = frozenset()) -> tuple[InputFile, ...]:
        """Return all raw files whose trades will be in the new version."""
        return tuple(sorted({*self.base_inputs, *self.new_files} - unreadable))

    def all_unreadable(self, unreadable: frozenset[InputFile] = frozenset()) -> tuple[InputFile, ...]:
        """Return all raw files whose trades will be missing from the new version."""
        base_unreadable = self.base.unreadable if self.base else ()
        return tuple(sorted({*base_unreadable, *unreadable}))

    def all_lost(self) -> tuple[InputFile, ...]:
        """Return all raw files that were lost and did not come back."""
        base_lost = self.base.lost if self.base else ()
        return tuple(sorted({*base_lost, *self.lost} - {*self.inputs()}))

    def target(self, unreadable: frozenset[InputFile] = frozenset(), attempt: str = "") -> VersionPrefix:
        """Return the new version's prefix, if these of the new files are unreadable.

        attempt: for engines that need a prefix of their own, because they can't write on condition.
        """
        inputs, every_unreadable = self.inputs(unreadable), self.all_unreadable(unreadable)
        version = version_of(self.session_date, self.generation, inputs, every_unreadable, attempt)
        return VersionPrefix(self.session_date, version)


def plan_compaction(
    session_date: date,
    listing: Iterable[InputFile],
    head: PartitionHead,
    base: Manifest | None,
    damage: str = "",
    lost: Iterable[InputFile] = (),
) -> CompactionPlan:
    """Plan the next version; the plan is empty if the published one is whole and knows all files.

    base, damage, lost: as of `CompactionPlan`. Whatever replaces a damaged version is of the next generation, so that
    it is not written over the damaged objects.
    """
    known = base.known_files if base else frozenset()
    files = frozenset(listing)
    return CompactionPlan(
        session_date=session_date,
        generation=head.generation + bool(damage),
        base=base,
        new_files=tuple(sorted(files - known)),
        lost=tuple(sorted({*lost} - files - known)),
        replaces=head.version,
        damage=damage,
    )


def version_of(
    session_date: date,
    generation: int,
    inputs: Iterable[InputFile],
    unreadable: Iterable[InputFile] = (),
    attempt: str = "",
) -> str:
    """Return 16 hexadecimal digits that name this set of raw files.

    A release with other columns names it otherwise, because it writes other rows.
    """
    digest = hashlib.sha256(f"{LAYOUT} {SCHEMA_VERSION} {session_date} {generation}\n{attempt}".encode())
    for kind, files in (("in", inputs), ("aside", unreadable)):
        for file in sorted(files):
            digest.update(f"{kind} {file.key} {file.etag} {file.size}\n".encode())
    return digest.hexdigest()[:16]
