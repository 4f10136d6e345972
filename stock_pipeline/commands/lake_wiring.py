"""The lake of the settings, for the commands that work on it."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from stock_pipeline.aws.athena_compaction import AthenaUnloader
    from stock_pipeline.aws.catalog import GlueCatalog
    from stock_pipeline.aws.object_store import ObjectStore


class LakeParts(NamedTuple):
    """unloader: Athena, where the settings say so, for sessions of more than `unload_bytes`."""

    objects: "ObjectStore"
    catalog: "GlueCatalog"
    unloader: "AthenaUnloader | None"
    unload_bytes: int


@contextmanager
def lake_of_environment() -> Iterator[LakeParts]:
    from stock_pipeline.aws.athena_compaction import athena_unloader
    from stock_pipeline.aws.catalog import GlueCatalog
    from stock_pipeline.aws.clients import Clients
    from stock_pipeline.aws.object_store import ObjectStore
    from stock_pipeline.settings import Settings

    settings = Settings.from_env(os.environ)
    with closing(Clients(settings.aws_region)) as clients:
        catalog = GlueCatalog(clients.glue, settings.database_name, settings.bucket_name)
        unloader = None
        if settings.dbt_target == "athena":
            unloader = athena_unloader(clients.athena, settings.athena_workgroup, catalog, time.sleep, now)
        unload_bytes = settings.athena_compaction_megabytes * 10**6
        yield LakeParts(ObjectStore(clients.s3, settings.bucket_name), catalog, unloader, unload_bytes)


def now() -> datetime:
    return datetime.now(UTC)
