"""What the demo leaves: its lake as files beside its models, whose views read them, and the latest prices.

So a plain `duckdb` opens it, and no service has to run.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from stock_pipeline.local.duckdb.catalog import LakeFiles, create_views, find_lake_files
from stock_pipeline.local.duckdb.connection import connected
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.project_files import KEPT_LAKE, LATEST_FILE, MODELS_FILE

KEPT_BYTES = 500_000_000
"""A lake above this is not kept; the models are."""


def keep_lake(stack: LocalStack, new: Path, folder: Path, latest: pa.Table) -> int | None:
    """Move `new`, which has the models, to `folder`, with the lake's files; return their bytes, None if too many.

    What an earlier demo left is there until this one has everything.
    """
    files = find_lake_files(stack.clients.s3, stack.wiring.catalog)
    sizes = {f"s3://{stack.settings.bucket_name}/{each.key}": each.size for each in stack.wiring.objects.list("")}
    uris = [uri for part in files.published for uri in part.uris]
    uris += [*files.unpublished_uris, *files.raw_uris, *files.rejected_uris, *files.actions_uris]
    kept = sum(sizes[uri] for uri in dict.fromkeys(uris))
    if kept > KEPT_BYTES:
        return None
    for uri in dict.fromkeys(uris):
        target = _file_of(uri, new)
        target.parent.mkdir(parents=True, exist_ok=True)
        stack.wiring.objects.download(_key(uri), target)
    pq.write_table(latest, new / LATEST_FILE)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    with connected(folder / MODELS_FILE) as connection:
        create_views(connection, _as_files(files, folder))
    return kept


def _as_files(files: LakeFiles, folder: Path) -> LakeFiles:
    """Return the same files, below the folder."""

    def moved(uris: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(_file_of(uri, folder)) for uri in uris)

    return LakeFiles(
        published=tuple(replace(part, uris=moved(part.uris)) for part in files.published),
        unpublished_uris=moved(files.unpublished_uris),
        raw_uris=moved(files.raw_uris),
        rejected_uris=moved(files.rejected_uris),
        actions_uris=moved(files.actions_uris),
    )


def _key(uri: str) -> str:
    return urlsplit(uri).path[1:]


def _file_of(uri: str, folder: Path) -> Path:
    return folder / KEPT_LAKE / _key(uri)
