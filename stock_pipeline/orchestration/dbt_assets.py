"""The dbt models as assets, and the prepared manifest they are read from."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets

from stock_pipeline.errors import PermanentError
from stock_pipeline.orchestration.lake_assets import OWNERS
from stock_pipeline.settings import Settings

PROJECT_DIR = Path(__file__).parents[2] / "dbt_project"


def marts_definitions(settings: Settings) -> dg.Definitions:
    """The models' side of the code location."""
    return dg.Definitions(
        assets=[marts(manifest_path(settings.dbt_target))], resources={"dbt": dbt_resource(settings.dbt_target)}
    )


class Translator(DagsterDbtTranslator):
    """Names, groups and owners of dbt models as Dagster shows them."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        folder = manifest["nodes"].get(unique_id, manifest["sources"].get(unique_id, {})).get("fqn", ["", "lake"])[1]
        group = {"marts": "marts", "staging": "staging"}.get(folder, "seeds")
        return spec.replace_attributes(group_name=group, owners=OWNERS)


def target_dir(target: str) -> Path:
    """Where dbt puts what it generates for a target; each has its own, so that parsing one keeps the other."""
    return PROJECT_DIR / "target" / target


def prepare_manifest(target: str) -> Path:
    """Parse the project for a target and return its manifest. Needs no credentials and no network."""
    command = [str(dbt_executable()), "parse", "--target", target, "--target-path", str(target_dir(target))]
    result = subprocess.run(
        [*command, "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise PermanentError(f"dbt could not parse {PROJECT_DIR} for target {target}:\n{result.stdout[-4000:]}")
    return target_dir(target) / "manifest.json"


def manifest_path(target: str) -> Path:
    """The prepared manifest; made now if there is none or a model changed since. Images ship it prepared."""
    path = target_dir(target) / "manifest.json"
    if path.exists() and path.stat().st_mtime > max(file.stat().st_mtime for file in _project_files()):
        return path
    return prepare_manifest(target)


def _project_files() -> Iterator[Path]:
    for pattern in ("*.yml", "models/**/*", "macros/**/*", "seeds/**/*", "tests/**/*", "analyses/**/*"):
        yield from (path for path in PROJECT_DIR.glob(pattern) if path.is_file())


def dbt_executable() -> Path:
    """The dbt that is installed beside this Python, whatever PATH says."""
    return Path(sys.executable).parent / "dbt"


def dbt_resource(target: str) -> DbtCliResource:
    return DbtCliResource(
        project_dir=os.fspath(PROJECT_DIR),
        profiles_dir=os.fspath(PROJECT_DIR),
        target=target,
        dbt_executable=os.fspath(dbt_executable()),
    )


def marts(manifest: Path) -> dg.AssetsDefinition:
    @dbt_assets(manifest=manifest, dagster_dbt_translator=Translator(), name="marts")
    def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        yield from dbt.cli(["build"], context=context).stream()

    return models
