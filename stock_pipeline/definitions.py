"""What Dagster loads: assets, jobs and resources, put together from the environment's settings.

`workspace.yaml` names this module. Importing it does nothing; `defs` runs when Dagster loads the code location.
"""

import os

import dagster as dg

from stock_pipeline.orchestration.dbt_assets import dbt_resource, manifest_path, marts
from stock_pipeline.orchestration.lake_assets import raw_trades, trades
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.settings import Settings

SESSION_JOB = "session"


def build_definitions(settings: Settings) -> dg.Definitions:
    """The code location for these settings."""
    return dg.Definitions(
        assets=[raw_trades(), trades(), marts(manifest_path(settings.dbt_target))],
        jobs=[
            dg.define_asset_job(
                SESSION_JOB,
                selection=dg.AssetSelection.all(),
                description="Compact one session, publish it, and build the models on it.",
            )
        ],
        resources={
            "lake": LakeResource(
                aws_region=settings.aws_region,
                bucket_name=settings.bucket_name,
                database_name=settings.database_name,
            ),
            "dbt": dbt_resource(settings.dbt_target),
        },
    )


@dg.definitions
def defs() -> dg.Definitions:
    return build_definitions(Settings.from_env(os.environ))
