"""`stock-pipeline gc`: delete superseded versions and compacted raw files."""

import argparse

from stock_pipeline.commands.environment import BUCKET, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command, number

GRACE_DAYS = 3


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "gc",
        summary="delete superseded versions and compacted raw files after a grace period",
        description="Deletes superseded versions, versions that a run left unpublished, and raw files whose trades are "
        "in the published version, each after the grace period. In an account it tags such raw files, and the bucket's "
        "lifecycle deletes them. Then brings the table unpublished_trades up to date.",
        example="stock-pipeline gc --grace-days 7 --dry-run",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be deleted, and delete nothing")
    parser.add_argument(
        "--grace-days",
        type=number(0, 10_000),
        default=GRACE_DAYS,
        metavar="N",
        help=f"days to keep what was superseded, more than any query or run takes (default: {GRACE_DAYS})",
    )
    add_env(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from datetime import timedelta

    from stock_pipeline.lake.session_failures import SessionFailures
    from stock_pipeline.lake.unpublished_sessions import raw_folders
    from stock_pipeline.wiring import Wiring

    with Wiring.open(settings_of(options, BUCKET)) as wiring:
        collector = wiring.garbage_collector(timedelta(days=options.grace_days))
        would = "would delete" if options.dry_run else "deleted"
        raw_files = "raw files (by a tag: they expire)" if collector.expire_raw else "raw files"
        total = 0
        failures = SessionFailures()
        with failures.of("garbage collection"):
            for done in collector.collect(options.dry_run):
                total += done.size
                print(
                    f"session {done.session_date}: {would} {len(done.versions):,} versions and "
                    f"{done.raw_files:,} {raw_files}, {done.size:,} bytes"
                )
                for key in done.unreadable:
                    print(f"  {'would move' if options.dry_run else 'moved'} {key} to quarantine/")
        print(f"{would} {total:,} bytes in all")
        if not options.dry_run:
            with failures.of("unpublished sessions"):
                wiring.unpublished_sessions().refresh(raw_folders(wiring.objects))
        failures.raise_all()
        return 0
