"""The dbt models as assets, and the prepared manifest that lists them.

Models that a run replaces session by session are partitioned. Views and tables over all sessions are not, because none
of their partitions can be built alone.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliInvocation, DbtCliResource, dbt_assets

from stock_pipeline.aws.athena import cost_dollars
from stock_pipeline.errors import PermanentError
from stock_pipeline.orchestration.check_descriptions import description_of
from stock_pipeline.orchestration.freshness import POLICY
from stock_pipeline.orchestration.owners import OWNERS
from stock_pipeline.orchestration.partitions import SESSIONS_A_RUN, session_partitions
from stock_pipeline.orchestration.shown_rows import bars_of
from stock_pipeline.project_files import PROJECT, dbt_output
from stock_pipeline.settings import Settings

PROJECT_DIR = PROJECT / "dbt_project"


def marts_definitions(settings: Settings) -> dg.Definitions:
    manifest = manifest_path(settings.dbt_target)
    # a pool limits runs at a time: DuckDB's file takes one writer, and Athena has a quota of queries
    pool = "duckdb" if settings.dbt_target == "local" else "athena"
    translator = Translator(settings.runbook_url)
    return dg.Definitions(
        assets=[
            staging(manifest, pool, translator),
            session_marts(manifest, pool, translator, settings),
            marts(manifest, pool, translator),
        ],
        resources={"dbt": dbt_resource(settings.dbt_target)},
    )


class Translator(DagsterDbtTranslator):
    """Names, groups, owners and checks of dbt models."""

    def __init__(self, runbook_url: str | None) -> None:
        super().__init__()
        self._runbook_url = runbook_url

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None:
            return None
        return dg.AssetCheckSpec(
            name=spec.name,
            asset=spec.asset_key,
            description=description_of(manifest["nodes"][unique_id], self._runbook_url),
            additional_deps=[dep.asset_key for dep in spec.additional_deps],
            blocking=spec.blocking,
            metadata=spec.metadata,
        )

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: Any) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        folder = manifest["nodes"].get(unique_id, manifest["sources"].get(unique_id, {})).get("fqn", ["", "lake"])[1]
        group = {"marts": "marts", "staging": "staging", "intermediate": "staging"}.get(folder, "seeds")
        return spec.replace_attributes(group_name=group, owners=OWNERS, freshness_policy=POLICY)


def target_dir(target: str) -> Path:
    """Return a target's own folder for what dbt generates."""
    return dbt_output() / target


def prepare_manifest(target: str) -> Path:
    """Parse the project for a target; needs no credentials and no network."""
    output = str(target_dir(target))
    command = [str(dbt_executable()), "parse", "--target", target, "--target-path", output, "--log-path", output]
    result = subprocess.run(
        [*command, "--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        said = (result.stdout + result.stderr)[-4000:]
        raise PermanentError(f"dbt could not parse {PROJECT_DIR} for target {target}:\n{said}")
    return target_dir(target) / "manifest.json"


def manifest_path(target: str) -> Path:
    """Return the prepared manifest; prepare it if it is missing or outdated."""
    path = target_dir(target) / "manifest.json"
    if path.exists() and path.stat().st_mtime > max(file.stat().st_mtime for file in _project_files()):
        return path
    return prepare_manifest(target)


def _project_files() -> Iterator[Path]:
    for pattern in ("*.yml", "models/**/*", "macros/**/*", "seeds/**/*", "tests/**/*", "analyses/**/*"):
        yield from (path for path in PROJECT_DIR.glob(pattern) if path.is_file())


def dbt_executable() -> Path:
    """Return the dbt beside this Python, because PATH may have another."""
    return Path(sys.executable).parent / "dbt"


def dbt_resource(target: str) -> DbtCliResource:
    return DbtCliResource(
        project_dir=os.fspath(PROJECT_DIR),
        profiles_dir=os.fspath(PROJECT_DIR),
        target=target,
        dbt_executable=os.fspath(dbt_executable()),
        # each run has a folder of its own, where dbt would look for the saved parse in vain and parse all anew
        global_config_flags=["--partial-parse-file-path", os.fspath(target_dir(target) / "partial_parse.msgpack")],
    )


DATA_ONLY = ("--exclude-resource-type", "unit_test")
"""Unit tests judge SQL by rows of their own and can't fail for a session's data: CI runs them, with every build."""

SESSION_TABLES = "config.materialized:session_table"


def staging(manifest: Path, pool: str, translator: Translator) -> dg.AssetsDefinition:
    @dbt_assets(
        manifest=manifest,
        dagster_dbt_translator=translator,
        name="staging",
        exclude=f"{SESSION_TABLES}+",
        pool=pool,
    )
    def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        yield from build(context, dbt)

    return models


def session_marts(manifest: Path, pool: str, translator: Translator, settings: Settings) -> dg.AssetsDefinition:
    @dbt_assets(
        manifest=manifest,
        dagster_dbt_translator=translator,
        name="session_marts",
        select=SESSION_TABLES,
        pool=pool,
        partitions_def=session_partitions(settings.first_session, settings.feed),
        # as for trades: the assets of one job share one policy
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=SESSIONS_A_RUN),
    )
    def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        yield from build(context, dbt)
        sessions = set(run_sessions(context))
        if len(sessions) == 1:
            show_bars(context, settings, sessions.pop())

    return models


def marts(manifest: Path, pool: str, translator: Translator) -> dg.AssetsDefinition:
    @dbt_assets(
        manifest=manifest,
        dagster_dbt_translator=translator,
        name="marts",
        select=f"{SESSION_TABLES}+",
        exclude=SESSION_TABLES,
        pool=pool,
    )
    def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        yield from build(context, dbt)

    return models


def show_bars(context: dg.AssetExecutionContext, settings: Settings, session_date: date) -> None:
    """Show a session's bars beside the asset. They are built by now, so that trouble here is a line of the log."""
    try:
        bars = bars_of(settings, session_date)
    except Exception as error:
        context.log.warning("the bars can't be shown: %s", error)
        return
    context.log_event(dg.AssetObservation("daily_bars", partition=session_date.isoformat(), metadata={"bars": bars}))


def build(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Build the selected models for the run's sessions; yield Dagster's events."""
    sessions = run_sessions(context)
    invocation = dbt.cli(["build", *DATA_ONLY, *window_options(sessions)], context=context)
    yield from with_figures(
        invocation.stream_raw_events(), lambda message: _asset_events(invocation, message), len(set(sessions)) == 1
    )


def run_sessions(context: dg.AssetExecutionContext) -> Sequence[date]:
    """Return the first and last session date of a run, if it has partitions."""
    if not context.has_partition_key and not context.has_partition_key_range:
        return ()
    keys = context.partition_key_range
    return date.fromisoformat(keys.start), date.fromisoformat(keys.end)


def window_options(sessions: Sequence[date]) -> list[str]:
    """Return dbt's options for the sessions' window."""
    if not sessions:
        return []
    end = max(sessions) + timedelta(days=1)
    return ["--event-time-start", min(sessions).isoformat(), "--event-time-end", end.isoformat()]


def with_figures(
    messages: Iterable[Any], events_of: Callable[[Any], Iterable[Any]], one_session: bool
) -> Iterator[Any]:
    """Yield Dagster's events of dbt's messages; an output waits for its node's figures."""
    waiting: dict[str, list[dg.Output[None]]] = {}
    for message in messages:
        data = message.raw_event["data"]
        unique_id = data.get("node_info", {}).get("unique_id", "")
        for event in events_of(message):
            if isinstance(event, dg.Output):
                waiting.setdefault(unique_id, []).append(event)
            else:
                yield event
        if message.raw_event["info"]["name"] == "NodeFinished":
            figures = figures_of(
                data.get("run_result", {}).get("adapter_response") or {}, data["node_info"], one_session
            )
            for output in waiting.pop(unique_id, []):
                yield output.with_metadata({**output.metadata, **figures})
    for outputs in waiting.values():
        yield from outputs


def figures_of(response: Mapping[str, Any], node: Mapping[str, Any], one_session: bool) -> dict[str, dg.MetadataValue]:
    """Return the rows written, and Athena's scanned bytes with their list price."""
    figures: dict[str, dg.MetadataValue] = {}
    rows = response.get("rows_affected")
    if rows is not None and int(rows) >= 0:
        figures[_row_count_name(node.get("materialized"), one_session)] = dg.MetadataValue.int(int(rows))
    scanned = response.get("data_scanned_in_bytes")
    if scanned is not None:
        figures["athena_bytes_scanned"] = dg.MetadataValue.int(int(scanned))
        figures["athena_cost_usd"] = dg.MetadataValue.float(float(cost_dollars(int(scanned))))
    return figures


def _row_count_name(materialized: Any, one_session: bool) -> str:
    """Return the count's name; several sessions have another, because Dagster shows their sum at each."""
    if materialized != "session_table":
        return "dagster/row_count"
    return "dagster/partition_row_count" if one_session else "rows_of_all_sessions_of_the_run"


def _asset_events(invocation: DbtCliInvocation, message: Any) -> Iterable[Any]:
    events: Iterable[Any] = message.to_default_asset_events(
        manifest=invocation.manifest,
        dagster_dbt_translator=invocation.dagster_dbt_translator,
        context=invocation.context,
        target_path=invocation.target_path,
    )
    return events
