"""`stock-pipeline dbt-parse`: parse the dbt models of one target."""

import argparse

from stock_pipeline.commands.parsers import Commands, add_command


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "dbt-parse",
        summary="parse the dbt models and write their manifest",
        description="Parses dbt_project for a target and writes target/<target>/manifest.json, which Dagster reads. "
        "Needs no credentials and no network.",
        example="stock-pipeline dbt-parse --target athena",
    )
    parser.add_argument("--target", choices=("local", "athena"), default="local", help="default: local")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from stock_pipeline.orchestration.dbt_assets import prepare_manifest

    print(f"dbt models parse for {options.target}: {prepare_manifest(options.target)}")
    return 0
