"""Under any schedule of runs, crashes and lost objects, readers see every trade, or a named state and nothing deleted.

Hypothesis chooses which files come, what runs alone or beside another, where processes die, which objects are lost,
torn or cut, and how time passes. A reader's rows must always be those of the raw files that its version names. At the
end everything is as the raw files say, at the latest once the lost objects are restored, as bucket versioning can.
"""

import contextlib
from collections.abc import Callable
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stock_pipeline.domain.lake_layout import CURATED_PREFIX, RAW_PREFIX, head_key
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import DamagedVersionError, HeadLostError, StockPipelineError
from tests.fakes.crashes import Crashed, CrashingCatalog, CrashingObjectStore, Fuse
from tests.fakes.turns import Turns, TurnTakingCatalog, TurnTakingObjectStore
from tests.support.lake import SESSION, Lake
from tests.support.lake_work import WORKS, Work, work
from tests.support.oracle import in_order, winning_trades
from tests.support.trades import trade

HEAD = head_key(SESSION)

KINDS = ("gone", "cut", "torn")

works = st.sampled_from(WORKS)
rows = st.lists(
    st.builds(trade, st.integers(0, 12), version=st.integers(0, 2), status=st.sampled_from(["good", "cancelled"])),
    min_size=1,
    max_size=3,
)


class LakeMachine(RuleBasedStateMachine):
    @initialize(collected=st.booleans())
    def a_session_is_published(self, collected: bool) -> None:
        self.lake = Lake()
        self.arrived: list[Trade] = []
        self.content: dict[tuple[str, str], list[Trade]] = {}
        """The rows of every raw file that there ever was, by key and etag."""

        self.lost: dict[str, bytes] = {}
        """What the faults took, as it was."""

        self.raw_files: set[str] = set()
        """Those that were there then."""

        self.files = 0
        self.runs = 0
        self.file_comes([trade(1), trade(2)])
        self.run("compact")
        if collected:
            self.days_pass_and_garbage_is_collected()

    # What runs.

    def work(self, name: str, allow_missing: bool = False) -> Work:
        self.runs += 1
        return work(self.lake, name, f"run {self.runs}", allow_missing)

    @rule(name=works)
    def run(self, name: str) -> None:
        with contextlib.suppress(StockPipelineError):
            self.work(name)(self.lake.store, self.lake.catalog)

    @rule(name=works, at=st.integers(1, 8), after=st.booleans())
    def run_and_die(self, name: str, at: int, after: bool) -> None:
        fuse = Fuse(at, after)
        with contextlib.suppress(Crashed, StockPipelineError):
            self.work(name)(CrashingObjectStore(self.lake.store, fuse), CrashingCatalog(self.lake.catalog, fuse))

    @rule(names=st.tuples(works, works), schedule=st.lists(st.integers(0, 1), max_size=30))
    def run_two_at_once(self, names: tuple[str, str], schedule: list[int]) -> None:
        turns = Turns(2, schedule)

        def player(number: int) -> Callable[[], None]:
            store = TurnTakingObjectStore(self.lake.store, turns, number)
            catalog = TurnTakingCatalog(self.lake.catalog, turns, number)

            def play() -> None:
                with contextlib.suppress(StockPipelineError):
                    self.work(names[number])(store, catalog)

            return play

        turns.play(player(0), player(1))

    @rule(hours=st.sampled_from([1, 30, 100]))
    def time_passes(self, hours: int) -> None:
        self.lake.pass_time(timedelta(hours=hours))

    @rule()
    def days_pass_and_garbage_is_collected(self) -> None:
        self.lake.pass_time(timedelta(days=4))
        self.run("collect")

    # What comes.

    @rule(some=rows)
    def file_comes(self, some: list[Trade]) -> None:
        self.files += 1
        key = self.lake.add(some, self.files)
        self.remember(key, some)

    @precondition(lambda self: self.files)
    @rule(some=rows, seed=st.integers(0, 99))
    def file_is_put_right(self, some: list[Trade], seed: int) -> None:
        """A broken file came, an operator published without it, and then put it right under its key."""
        self.files += 1
        key = self.lake.add_bytes(b"broken", self.files)
        if seed % 2 and self.is_sound():
            with contextlib.suppress(StockPipelineError):
                self.work("compact", allow_missing=True)(self.lake.store, self.lake.catalog)
        self.lake.store.delete([key])
        self.remember(self.lake.add(some, self.files), some)

    # What is lost.

    @precondition(lambda self: not self.lost)
    @rule(what=st.sampled_from(["trades", "_manifest", "_head", "2018", "catalog"]), kind=st.sampled_from(KINDS))
    def something_is_lost(self, what: str, kind: str) -> None:
        """At most one object is lost at a time."""
        self.raw_files = set(self.lake.keys(RAW_PREFIX))
        if what == "catalog":
            self.lake.catalog.locations.clear()
        for key in self.lake.keys(CURATED_PREFIX):
            name = key.rpartition("/")[2]
            if name.startswith(what) and not self.lost:
                body = self.lake.store.objects[key]
                self.lost[key] = body
                self.lake.store.delete([key])
                if kind != "gone":
                    self.lake.store.put(key, body[: len(body) // 2] if kind == "cut" else b"?" * len(body))

    @rule()
    def lost_objects_are_restored(self) -> None:
        self.restore()

    # What must hold.

    @invariant()
    def readers_see_what_the_version_names(self) -> None:
        location = self.lake.catalog.locations.get(SESSION)
        if location is None or any(key.startswith(location.removeprefix("s3://bucket/")) for key in self.lost):
            return
        version = self.lake.partition.version(location.rstrip("/").rpartition("=")[2])
        assert version.manifest, version.damage
        assert in_order(self.lake.read()) == winning_trades(
            row for file in version.manifest.inputs for row in self.content[file.key, file.etag]
        )

    def teardown(self) -> None:
        if not hasattr(self, "lake"):
            return
        try:
            self.recover()
        except (DamagedVersionError, HeadLostError):
            assert self.lost, "nothing was lost, and yet"
            assert self.raw_files <= {*self.lake.keys(RAW_PREFIX)}, "raw files were deleted after the loss"
            self.restore()
            self.recover()
        assert in_order(self.read()) == winning_trades(self.arrived)

    def recover(self) -> None:
        """Run what an operator would: first the rebuild, then compaction, whatever either says."""
        if HEAD in self.lost and HEAD in self.lake.store.objects and self.lake.store.objects[HEAD] != self.lost[HEAD]:
            try:
                self.lake.partition.head()
            except HeadLostError:
                self.lake.store.delete([HEAD])  # as the error says
        with contextlib.suppress(HeadLostError):
            self.work("rebuild")(self.lake.store, self.lake.catalog)
        self.work("compact")(self.lake.store, self.lake.catalog)
        self.lake.pass_time(timedelta(days=9))
        self.work("collect")(self.lake.store, self.lake.catalog)

    # Helpers.

    def read(self) -> list[Trade]:
        return self.lake.read() if SESSION in self.lake.catalog.locations else []

    def remember(self, key: str, some: list[Trade]) -> None:
        (listed,) = (each for each in self.lake.store.list(key) if each.key == key)
        self.content[key, listed.etag] = some
        self.arrived += some

    def is_sound(self) -> bool:
        return not self.lost and HEAD in self.lake.store.objects

    def restore(self) -> None:
        for key, body in self.lost.items():
            there = self.lake.store.objects.get(key)
            if key != HEAD or there is None or not _is_head(there):
                self.lake.store.put(key, body)
        self.lost.clear()


def _is_head(body: bytes) -> bool:
    return body.startswith(b"{") and body.endswith(b"}")
