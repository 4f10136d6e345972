"""The project's files that are no Python: dbt project, handlers, settings that Terraform shares, the workspace.

A checkout, and the image of an account, have them beside the package. A wheel carries copies in the package
(pyproject.toml), so that what a checkout does works installed anywhere.
"""

from pathlib import Path

_PACKAGE = Path(__file__).parent
_COPIES = _PACKAGE / "project"

IS_INSTALLED = _COPIES.is_dir()
"""Whether this package was built: its folder is the installer's then, and nobody writes there."""

PROJECT = _COPIES if IS_INSTALLED else _PACKAGE.parent
"""The folder with `dbt_project`, `lambdas`, `infra` and `workspace.yaml`."""

STATE_FOLDER = Path(".stock-pipeline")
"""What commands leave behind, in the folder where they are called."""

MODELS_FILE, LATEST_FILE, KEPT_LAKE = "stock_market.duckdb", "latest.parquet", "lake"
"""What the demo leaves in its folder of it: the models, the newest prices, and a folder of the lake's files by key."""


def dbt_output() -> Path:
    """Return the folder for what dbt generates: beside its models, or in the caller's folder if those are installed."""
    return (STATE_FOLDER / "dbt").absolute() if IS_INSTALLED else PROJECT / "dbt_project" / "target"
