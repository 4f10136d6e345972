"""`stock-pipeline state`: rebuild the realtime table from the lake."""

import argparse
from typing import TYPE_CHECKING

from stock_pipeline.commands.environment import BUCKET, TABLE, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stock_pipeline.domain.symbol_state import SymbolState
    from stock_pipeline.restore.state_rebuild import StateRebuild

SHOWN_CHANGES = 20


def add_to(commands: Commands) -> None:
    example = "stock-pipeline state rebuild --dry-run"
    parser = add_command(
        commands,
        "state",
        summary="rebuild the realtime table's items from the lake",
        description="Works on the realtime table: an item for each symbol and feed.",
        example=example,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION", title="actions")
    rebuild = add_command(
        actions,
        "rebuild",
        summary="make the items anew from published trades and raw files",
        description="Merges the newest trades of the lake into the items, as the processor does. It may run beside the "
        "processor, or be killed and run again: newer trades and cancellations stay. What a session raises is told, "
        "and the others are read. --replace puts items from the lake in the place of wrong ones, which a merge would "
        "keep. Settings: STATE_TABLE_NAME, BUCKET_NAME, MOVING_AVERAGE_WINDOWS, STATE_TTL_DAYS.",
        example=example,
    )
    rebuild.add_argument("--dry-run", action="store_true", help="show what would change, and write nothing")
    rebuild.add_argument(
        "--symbol", action="append", default=[], metavar="SYMBOL", help="only this symbol; may be given again"
    )
    rebuild.add_argument(
        "--sessions",
        type=whole(1),
        metavar="N",
        help="newest sessions of the lake to read (default: those of STATE_TTL_DAYS)",
    )
    rebuild.add_argument("--table", metavar="NAME", help="another table than STATE_TABLE_NAME, for a rehearsal")
    rebuild.add_argument(
        "--replace", action="store_true", help="forget what the items hold, because it is wrong; then merge what came"
    )
    add_env(rebuild)
    rebuild.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import time
    from dataclasses import replace

    from stock_pipeline.domain.symbol_state import SymbolKey
    from stock_pipeline.errors import PermanentError, SettingsError
    from stock_pipeline.lake.session_failures import SessionFailures
    from stock_pipeline.restore.lake_states import LakeStates, newest_sessions
    from stock_pipeline.restore.state_rebuild import StateRebuild, remembered
    from stock_pipeline.wiring import Wiring

    with Wiring.open(settings_of(options, TABLE, BUCKET)) as wiring:
        table = wiring.state_table
        if options.table:
            table = replace(table, name=options.table)
        try:
            table.read([SymbolKey("none", "none")])
        except wiring.clients.dynamodb.exceptions.ResourceNotFoundException as error:
            raise SettingsError(
                f"there is no table {table.name}: create it (`make deploy`), or name another with --table"
            ) from error
        lake = LakeStates(wiring.objects, wiring.partition, table.average_windows, frozenset(options.symbol))
        rebuild = StateRebuild(table, table.average_windows, wiring.wait, _show_progress)
        number = options.sessions or wiring.settings.state_ttl_days

        def read() -> "list[SymbolState]":
            lake.failures = SessionFailures()
            for done in lake.read(newest_sessions(wiring.objects, number)):
                version = f"version {done.version}" if done.version else "no version"
                print(f"session {done.session_date}: {version}, {done.raw_files:,} raw files, {done.rows:,} rows")
            states = remembered(lake.states.values(), table.time_to_live_days, time.time_ns())
            missing = sorted({*options.symbol} - {state.key.symbol for state in states})
            if missing:
                print(f"no trades that the table remembers in these sessions: {', '.join(missing)}")
            if options.replace and str(lake.failures):
                raise PermanentError(
                    f"items are not replaced, because the lake could not be read whole ({lake.failures}); mend that, "
                    "or run it without --replace"
                )
            return states

        if options.dry_run:
            _show_changes(rebuild, read(), options.replace)
        else:
            done = rebuild.run(read, options.replace)
            print(f"{done.items:,} items of {table.name}: {done.written:,} were written")
        lake.failures.raise_all()
        return 0


def _show_changes(rebuild: "StateRebuild", states: "Sequence[SymbolState]", replace: bool) -> None:
    number = 0
    for change in rebuild.changes(states, replace):
        number += 1
        if number <= SHOWN_CHANGES:
            print(f"  {change}")
    if number > SHOWN_CHANGES:
        print(f"  … and {number - SHOWN_CHANGES:,} more")
    print(f"{len(states):,} items: {number:,} would change")


def _show_progress(done: int, of: int) -> None:
    if of > 1_000:
        print(f"{done:,} of {of:,} items")
