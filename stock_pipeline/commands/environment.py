"""The process's environment, for commands that run a local stack."""

import os
from collections.abc import Mapping


def take_over(environ: Mapping[str, str]) -> None:
    """boto3, dbt and the Lambda handlers read the process's own environment, here as everywhere else."""
    os.environ.clear()
    os.environ.update(environ)
