"""The lake of the settings, for the commands that work on it."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from stock_pipeline.aws.athena_compaction import AthenaEngine
    from stock_pipeline.aws.catalog import GlueCatalog
    from stock_pipeline.aws.object_store import ObjectStore


class LakeParts(NamedTuple):
    """sql_engine: Athena, where the settings say so, for sessions of more than `sql_engine_bytes`."""

    objects: "ObjectStore"
    catalog: "GlueCatalog"
    sql_engine: "AthenaEngine | None"
    sql_engine_bytes: int


@contextmanager
def lake_of_environment() -> Iterator[LakeParts]:
    from stock_pipeline.aws.athena_compaction import athena_engine
    from stock_pipeline.aws.catalog import GlueCatalog
    from stock_pipeline.aws.clients import Clients
    from stock_pipeline.aws.object_store import ObjectStore
    from stock_pipeline.settings import Settings

    settings = Settings.from_env(os.environ)
    with closing(Clients(settings.aws_region)) as clients:
        catalog = GlueCatalog(clients.glue, settings.database_name, settings.bucket_name)
        sql_engine = None
        if settings.dbt_target == "athena":
            sql_engine = athena_engine(clients.athena, settings.athena_workgroup, catalog, time.sleep, now)
        sql_engine_bytes = settings.athena_compaction_megabytes * 10**6
        yield LakeParts(ObjectStore(clients.s3, settings.bucket_name), catalog, sql_engine, sql_engine_bytes)


def now() -> datetime:
    return datetime.now(UTC)
