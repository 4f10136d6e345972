"""`compact`, `gc` and `catalog rebuild` as an operator types them, on AWS services on loopback."""

from collections.abc import Callable

import pytest

from stock_pipeline.cli import main
from stock_pipeline.domain.lake_layout import CURATED_PREFIX, RAW_PREFIX, UNREADABLE_PREFIX, head_key, unreadable_key
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades
from tests.support.raw_files import put_raw_file
from tests.support.trades import SESSION, trade

pytestmark = pytest.mark.xdist_group("lake")

COMPACT = ["compact", "--session", "2018-01-02"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command's exit status, what it printed, and what it complained of."""

    def typed(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(arguments))
        return status, *capsys.readouterr()

    return typed


def add(stack: LocalStack, number: int, body: bytes | None = None) -> str:
    key = put_raw_file(stack.wiring.objects, SESSION, number, [trade(number), trade(1)])
    if body is not None:
        stack.wiring.objects.put(key, body)
    return key


def keys(stack: LocalStack, prefix: str) -> list[str]:
    return [listed.key for listed in stack.wiring.objects.list(prefix)]


def test_a_dry_run_says_what_compaction_would_do(stack: LocalStack, run: Run) -> None:
    assert run(*COMPACT, "--dry-run")[1] == "session 2018-01-02: nothing to do\n"
    add(stack, 1)
    add(stack, 2)
    status, said, _ = run(*COMPACT, "--dry-run")
    assert status == 0
    assert said.startswith("session 2018-01-02: 2 raw files (")
    assert said.endswith("would be added to no version yet, by the engine local\n")
    assert keys(stack, CURATED_PREFIX) == []
    assert stack.wiring.catalog.published_locations() == {}


def test_compact_publishes_and_a_second_time_finds_nothing_to_do(stack: LocalStack, run: Run) -> None:
    assert run(*COMPACT)[1] == "session 2018-01-02: there are no raw files\n"
    add(stack, 1)
    add(stack, 2)
    status, said, _ = run(*COMPACT)
    assert status == 0
    assert "4 rows in = 2 rows + 2 duplicates" in said
    assert list(stack.wiring.catalog.published_locations()) == [SESSION]
    assert "has everything, 2 rows" in run(*COMPACT)[1]
    assert run(*COMPACT, "--dry-run")[1] == "session 2018-01-02: nothing to do\n"
    add(stack, 3)
    assert "would be added to version " in run(*COMPACT, "--dry-run")[1]


@pytest.mark.parametrize("damage", ["truncated", "no Parquet"])
def test_only_an_operator_may_leave_a_broken_file_out(stack: LocalStack, run: Run, damage: str) -> None:
    add(stack, 1)
    run(*COMPACT)
    good = parquet_bytes(table_of_trades([trade(n) for n in range(1_000)]))
    bad = add(stack, 2, good[: len(good) // 2] if damage == "truncated" else b"symbol,price\n")
    published = stack.wiring.catalog.published_location(SESSION)
    status, _, complaint = run(*COMPACT)
    assert status == 1
    assert bad in complaint
    assert "--allow-missing" in complaint
    assert stack.wiring.catalog.published_location(SESSION) == published

    add(stack, 3)
    status, said, _ = run(*COMPACT, "--allow-missing")
    assert status == 0
    assert f"without {bad}, which can't be read" in said
    assert stack.wiring.catalog.published_location(SESSION) != published
    # the file is kept where it can be looked into, and the rest is collected
    assert keys(stack, UNREADABLE_PREFIX) == [unreadable_key(bad)]
    assert bad not in keys(stack, RAW_PREFIX)
    run("gc", "--grace-days", "0")
    assert keys(stack, RAW_PREFIX) == []


def test_gc_deletes_what_its_dry_run_said(stack: LocalStack, run: Run) -> None:
    add(stack, 1)
    run(*COMPACT)
    add(stack, 2)
    run(*COMPACT)
    before = keys(stack, "")
    assert run("gc", "--dry-run")[1] == "would delete 0 bytes in all\n"  # the grace period is not over
    status, said, _ = run("gc", "--dry-run", "--grace-days", "0")
    assert status == 0
    assert "session 2018-01-02: would delete 1 versions and 2 raw files" in said
    assert keys(stack, "") == before
    assert "deleted 1 versions and 2 raw files" in run("gc", "--grace-days", "0")[1]
    assert keys(stack, RAW_PREFIX) == []
    assert len(keys(stack, CURATED_PREFIX)) == 3
    assert run("gc", "--grace-days", "0")[1] == "deleted 0 bytes in all\n"


@pytest.mark.parametrize("days", ["-1", "nan", "1e9"])
def test_gc_refuses_a_grace_period_that_is_none(capsys: pytest.CaptureFixture[str], days: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["gc", f"--grace-days={days}"])
    assert "--grace-days" in capsys.readouterr().err


def test_the_catalog_is_rebuilt_from_manifests_alone(stack: LocalStack, run: Run) -> None:
    add(stack, 1)
    run(*COMPACT)
    published = stack.wiring.catalog.published_locations()
    stack.clients.glue.delete_database(Name=stack.settings.database_name)
    stack.wiring.objects.delete([head_key(SESSION)])
    status, said, _ = run("catalog", "rebuild")
    assert status == 0
    assert said == "1 sessions have a published version: 1 were registered, 1 heads were made anew\n"
    assert stack.wiring.catalog.published_locations() == published
    assert "0 were registered, 0 heads" in run("catalog", "rebuild")[1]


def test_a_rebuild_that_would_lose_trades_says_so(stack: LocalStack, run: Run) -> None:
    raw = add(stack, 1)
    run(*COMPACT)
    (data,) = [key for key in keys(stack, CURATED_PREFIX) if key.endswith(".parquet")]
    stack.wiring.objects.delete([raw, data, head_key(SESSION)])
    status, _, complaint = run("catalog", "rebuild")
    assert status == 1
    assert "2018-01-02" in complaint


def test_gc_and_rebuild_register_unpublished_sessions(stack: LocalStack, run: Run) -> None:
    add(stack, 1)
    run("gc", "--dry-run")
    assert stack.wiring.catalog.unpublished_sessions() == set()
    run("gc")
    assert stack.wiring.catalog.unpublished_sessions() == {SESSION}
    stack.clients.glue.delete_database(Name=stack.settings.database_name)
    _, said, _ = run("catalog", "rebuild")
    assert said.endswith("\n1 unpublished sessions were registered\n")
    assert stack.wiring.catalog.unpublished_sessions() == {SESSION}
