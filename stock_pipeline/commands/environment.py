"""The process's environment, for commands that run a local stack."""

import os
from collections.abc import Mapping


def take_over(environ: Mapping[str, str]) -> None:
    """Replace the process's environment, because boto3, dbt and the Lambda handlers read it."""
    os.environ.clear()
    os.environ.update(environ)
