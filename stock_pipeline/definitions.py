"""Dagster's code location: the definitions of each layer, and the job over all of them.

`workspace.yaml` names this module. `defs` runs when Dagster loads it, not at import.
"""

import os

import dagster as dg

from stock_pipeline.domain.session import use_unplanned
from stock_pipeline.orchestration.alerts import alert_definitions
from stock_pipeline.orchestration.corporate_actions import corporate_actions_definitions
from stock_pipeline.orchestration.dbt_assets import marts_definitions
from stock_pipeline.orchestration.freshness import CHECKS as FRESHNESS_CHECKS
from stock_pipeline.orchestration.freshness import freshness_definitions
from stock_pipeline.orchestration.heartbeat import heartbeat_sensor
from stock_pipeline.orchestration.history import history_definitions
from stock_pipeline.orchestration.iceberg_upkeep import upkeep_definitions
from stock_pipeline.orchestration.lake_assets import lake_definitions
from stock_pipeline.orchestration.lake_schedules import SESSION_JOB
from stock_pipeline.orchestration.quarter_hours import quarter_hour_definitions
from stock_pipeline.orchestration.redrive_job import redrive_definitions
from stock_pipeline.settings import Settings


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the code location for these settings."""
    use_unplanned(settings.unplanned_days)
    session_job = dg.define_asset_job(
        SESSION_JOB,
        # the freshness sensor makes these checks, which are not about one session; the two assets are the vendor's
        selection=dg.AssetSelection.all()
        - dg.AssetSelection.assets("corporate_actions", "history")
        - dg.AssetSelection.checks(*FRESHNESS_CHECKS),
        description="Compact one session, publish it, and build the models on it.",
    )
    return dg.Definitions.merge(
        lake_definitions(settings),
        marts_definitions(settings),
        upkeep_definitions(settings),
        corporate_actions_definitions(settings),
        history_definitions(settings),
        redrive_definitions(settings),
        alert_definitions(settings),
        freshness_definitions(settings),
        quarter_hour_definitions(settings),
        dg.Definitions(sensors=[heartbeat_sensor(settings)]),
        # in one process, because each process would load all of this again: docs/decisions.md
        dg.Definitions(jobs=[session_job], executor=dg.in_process_executor),
    )


@dg.definitions
def defs() -> dg.Definitions:
    return build_definitions(Settings.from_env(os.environ))
