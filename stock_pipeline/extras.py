"""Which extra brings a module that the base installation lacks."""

from importlib.util import find_spec

MODULES = {
    "lake": ("dagster", "dagster_aws", "dagster_dbt", "dbt", "polars"),
    "serve": ("httptools", "starlette", "uvicorn"),
    "local": ("dagster_webserver", "duckdb", "duckdb_extension_httpfs", "duckdb_extensions", "moto", "rich"),
    "stream": ("websockets",),
    "files": ("databento_dbn",),
    "deploy": ("dagster_postgres",),
}
"""The modules that each extra of pyproject.toml brings."""


def line_to_type(module: str) -> str | None:
    """Return what brings a module, as a sentence; None if no extra does."""
    package = module.partition(".")[0]
    extra = next((extra for extra, modules in MODULES.items() if package in modules), None)
    return extra and f"this needs {package}, which is not installed: pip install 'stock-pipeline[{extra}]'"


def require(module: str) -> None:
    """Say before the work begins that a module is missing.

    Raises: ModuleNotFoundError.
    """
    if find_spec(module) is None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)
