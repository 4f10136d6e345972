"""`stock-pipeline seeds`: write the dbt seeds that follow from the domain."""

import argparse
from pathlib import Path

from stock_pipeline.commands.parsers import Commands, add_command
from stock_pipeline.project_files import PROJECT

SEEDS = PROJECT / "dbt_project" / "seeds"


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "seeds",
        summary="write the dbt seeds sale_conditions and trading_sessions anew",
        description="Writes the seeds that follow from the table of sale conditions and from the exchange's calendar. "
        "The files are committed; after a change of either run this and commit what changed.",
        example="stock-pipeline seeds",
    )
    parser.add_argument(
        "--folder", type=Path, default=SEEDS, help="where to write them; default: dbt_project/seeds of the checkout"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from stock_pipeline.errors import InputFileError
    from stock_pipeline.local.seeds import write_seeds

    if not options.folder.is_dir():
        raise InputFileError(f"{options.folder} is not a folder: name one with --folder")
    changed = write_seeds(options.folder)
    for path in changed:
        print(f"written: {path}")
    if not changed:
        print("both seeds are as they should be")
    return 0
