"""`--env`, and the process's environment, which boto3, dbt and the Lambda handlers read."""

import argparse
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stock_pipeline.settings import Settings

BUCKET, STREAM, TABLE, QUEUE = "BUCKET_NAME", "STREAM_NAME", "STATE_TABLE_NAME", "DEAD_LETTER_QUEUE_URL"


def add_env(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--env",
        metavar="NAME",
        help="local for what `stock-pipeline up` runs here, or a deployment such as dev (default: local if it runs, "
        "else what the environment names)",
    )


def settings_of(options: argparse.Namespace, *needs: str, only_reads: bool = False) -> "Settings":
    """Make the chosen place the process's own, and return its settings.

    needs: variables that name what the command reaches.
    only_reads: whether what the demo left will do.
    """
    from stock_pipeline.place import environ_of
    from stock_pipeline.settings import Settings

    take_over(environ_of(options.env, os.environ, needs, only_reads=only_reads))
    return Settings.from_env(os.environ)


def take_over(environ: Mapping[str, str]) -> None:
    """Replace the process's environment."""
    found = dict(environ)
    os.environ.clear()
    os.environ.update(found)
