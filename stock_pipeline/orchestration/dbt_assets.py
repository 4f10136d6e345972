"""The dbt models as assets, and the prepared manifest that lists them.

Models that a run replaces session by session are partitioned. Views and tables over all sessions are not, because none
of their partitions can be built alone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.asset_utils import get_updated_cli_invocation_params_for_context
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from stock_pipeline.aws.athena import cost_dollars
from stock_pipeline.orchestration.check_descriptions import description_of
from stock_pipeline.orchestration.dbt_process import PROJECT_DIR, DbtProcess, parse, run_output
from stock_pipeline.orchestration.freshness import POLICY
from stock_pipeline.orchestration.owners import OWNERS
from stock_pipeline.orchestration.partitions import SESSIONS_A_RUN, session_partitions
from stock_pipeline.orchestration.shown_rows import bars_of
from stock_pipeline.project_files import dbt_output
from stock_pipeline.settings import Settings


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
        resources={"dbt": DbtProcess(target=settings.dbt_target)},
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


def prepare_manifest(target: str) -> Path:
    """Parse the project for a target, and return its manifest."""
    folder = _prepared(target)
    parse(target, folder, write_json=True)
    return folder / "manifest.json"


def manifest_path(target: str) -> Path:
    """Return the prepared manifest; prepare it if it is missing or outdated."""
    path = _prepared(target) / "manifest.json"
    if path.exists() and path.stat().st_mtime > max(file.stat().st_mtime for file in _project_files()):
        return path
    return prepare_manifest(target)


def _project_files() -> Iterator[Path]:
    for pattern in ("*.yml", "models/**/*", "macros/**/*", "seeds/**/*", "tests/**/*", "analyses/**/*"):
        yield from (path for path in PROJECT_DIR.glob(pattern) if path.is_file())


def _prepared(target: str) -> Path:
    return dbt_output() / target


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
    def models(context: dg.AssetExecutionContext, dbt: DbtProcess) -> Iterator[Any]:
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
    def models(context: dg.AssetExecutionContext, dbt: DbtProcess) -> Iterator[Any]:
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
    def models(context: dg.AssetExecutionContext, dbt: DbtProcess) -> Iterator[Any]:
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


def build(context: dg.AssetExecutionContext, dbt: DbtProcess) -> Iterator[Any]:
    """Build the selected models for the run's sessions; yield Dagster's events."""
    sessions = run_sessions(context)
    # manifest and translator come from the context's assets
    chosen = get_updated_cli_invocation_params_for_context(context, {}, DagsterDbtTranslator())
    tests = ["--indirect-selection", chosen.indirect_selection] if chosen.indirect_selection else []
    folder = run_output() / f"{context.op_execution_context.op.name}-{context.run.run_id}"
    results = dbt.results(["build", *DATA_ONLY, *tests, *chosen.selection_args, *window_options(sessions)], folder)

    def events_of(message: DbtCoreCliEventMessage) -> Iterable[Any]:
        return message.to_default_asset_events(
            manifest=chosen.manifest,
            dagster_dbt_translator=chosen.dagster_dbt_translator,
            context=context,
            target_path=folder,
        )

    messages = (DbtCoreCliEventMessage(raw_event=result, event_history_metadata={}) for result in results)
    yield from with_figures(messages, events_of, len(set(sessions)) == 1)


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
