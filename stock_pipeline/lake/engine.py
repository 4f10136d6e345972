"""What an engine does: it reads a plan's files, says which are unreadable, and writes and proves the next version."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from stock_pipeline.domain.compaction_plan import CompactionPlan, InputFile
from stock_pipeline.domain.lake_layout import VersionPrefix
from stock_pipeline.domain.trades_digest import TradesDigest


class WrittenVersion(NamedTuple):
    """A proved version in the lake.

    unsorted: keys of data files whose row groups are not in the order of symbols.
    """

    target: VersionPrefix
    rows_in: int
    digest: TradesDigest
    data_bytes: int
    data_files: tuple[str, ...]
    unsorted: tuple[str, ...] = ()


class Inputs(Protocol):
    """A plan's rows, read."""

    @property
    def unreadable(self) -> Mapping[InputFile, str]:
        """New files that are no trades of the session, with the reason."""

    @property
    def ignored(self) -> tuple[str, ...]:
        """Columns that nobody declared."""

    @property
    def schema_version(self) -> int:
        """The newest schema version of the files."""

    def write(self) -> WrittenVersion:
        """Write the winning rows of base and readable files; `ProofError` if others came out than went in."""


class Engine(Protocol):
    @property
    def name(self) -> str:
        """The engine's name in manifests."""

    def opened(self, plan: CompactionPlan) -> AbstractContextManager[Inputs]:
        """Read the plan's files; what that needs on this machine is kept until the end of the context."""
