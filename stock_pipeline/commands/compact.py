"""`stock-pipeline compact`: compact one session."""

import argparse
from datetime import date

from stock_pipeline.commands.environment import BUCKET, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command, day


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "compact",
        summary="compact, prove and publish one session's raw files",
        description="Brings the published version of a session up to the raw files that are there now. Running it "
        "twice, or twice at once, or again after a crash, is safe: readers always see a whole version. A damaged "
        "version, which lacks objects, is made again from raw files and older versions.",
        example="stock-pipeline compact --session 2018-01-02 --dry-run",
    )
    parser.add_argument(
        "--session", type=day, required=True, metavar="DATE", help="the session date, such as 2018-01-02"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="publish without raw files that can't be read or are gone, and name them",
    )
    add_env(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from stock_pipeline.wiring import Wiring

    with Wiring.open(settings_of(options, BUCKET)) as wiring:
        compactor = wiring.compactor()
        session_date: date = options.session
        if options.dry_run:
            plan = compactor.plan(session_date, options.allow_missing)
            if plan.is_empty:
                print(f"session {session_date}: nothing to do")
                return 0
            size = sum(file.size for file in plan.new_files)
            base = f"version {plan.base.version}" if plan.base else "no version yet"
            engine, why = compactor.choose_engine(plan)
            if plan.damage:
                print(f"session {session_date}: version {plan.replaces} is damaged ({plan.damage})")
            print(
                f"session {session_date}: {len(plan.new_files):,} raw files ({size:,} bytes) would be added to {base}, "
                f"by the engine {engine.name}"
            )
            if why:
                print(f"  {why}")
            return 0
        report = compactor.compact(session_date, allow_missing=options.allow_missing)
        if not report.version:
            print(f"session {session_date}: there are no raw files")
        elif not report.published:
            print(f"session {session_date}: version {report.version} has everything, {report.rows_out:,} rows")
        else:
            print(
                f"session {session_date}: published version {report.version}, {report.rows_in:,} rows in = "
                f"{report.rows_out:,} rows + {report.duplicates:,} duplicates, {report.bytes_out:,} bytes"
            )
            if report.repaired:
                print(f"  it replaces a damaged version ({report.repaired})")
            for note in report.notes:
                print(f"  {note}")
            if report.ignored:
                print(f"  ignored columns: {', '.join(report.ignored)}")
            for key in report.unreadable:
                print(f"  without {key}, which can't be read")
            for key in report.unsorted:
                print(f"  {key} is not sorted: queries for one symbol read more of it")
        return 0
