"""The lake of the settings, for the commands that work on it."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from stock_pipeline.aws.catalog import GlueCatalog
    from stock_pipeline.aws.object_store import ObjectStore


class LakeParts(NamedTuple):
    objects: "ObjectStore"
    catalog: "GlueCatalog"


@contextmanager
def lake_of_environment() -> Iterator[LakeParts]:
    from stock_pipeline.aws.catalog import GlueCatalog
    from stock_pipeline.aws.clients import Clients
    from stock_pipeline.aws.object_store import ObjectStore
    from stock_pipeline.settings import Settings

    settings = Settings.from_env(os.environ)
    with closing(Clients(settings.aws_region)) as clients:
        yield LakeParts(
            ObjectStore(clients.s3, settings.bucket_name),
            GlueCatalog(clients.glue, settings.database_name, settings.bucket_name),
        )


def now() -> datetime:
    return datetime.now(UTC)
