"""`stock-pipeline ddl`: write tables and view as Athena's DDL."""

import argparse
import os
from pathlib import Path

from stock_pipeline.commands.parsers import Commands, add_command
from stock_pipeline.project_files import IS_INSTALLED, PROJECT

NAME = "stock_market_table.sql"
FILE = Path(NAME) if IS_INSTALLED else PROJECT / "athena" / NAME


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "ddl",
        summary="write the lake's tables and the public view as Athena's DDL",
        description="Writes CREATE statements for the tables raw_trades and trades and for the view stock_market_data, "
        "for queries without dbt. Names come from the settings. Needs no credentials.",
        example="stock-pipeline ddl --output tables.sql",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=FILE,
        metavar="FILE",
        help=f"default: {FILE.name}, in athena/ of a checkout",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from stock_pipeline.aws.athena_ddl import athena_ddl
    from stock_pipeline.settings import Settings
    from stock_pipeline.wiring import Wiring

    with Wiring.open(Settings.from_env(os.environ)) as wiring:
        options.output.write_text(athena_ddl(wiring.catalog), encoding="utf-8", newline="")
    print(f"written: {options.output}")
    return 0
