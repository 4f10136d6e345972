"""Downloads raw files, group by group, while the group before is in use."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.lake.input_files import groups
from stock_pipeline.lake.lake_access import Lake

_THREADS = 16
_TASKS_A_GROUP = 4 * _THREADS


def downloaded(lake: Lake, files: Sequence[InputFile], folder: Path) -> Iterator[tuple[list[InputFile], list[Path]]]:
    """Yield groups of files with their paths on disk. The caller deletes the paths."""
    folder.mkdir()

    def fetch(some: Sequence[InputFile], paths: Sequence[Path]) -> None:
        for file, path in zip(some, paths, strict=True):
            lake.download(file.key, path, file.etag)

    with ThreadPoolExecutor(_THREADS) as pool:
        fetched: tuple[list[InputFile], list[Path], list[Future[None]]] | None = None
        for number, group in enumerate(groups(files)):
            paths = [folder / f"{number}-{index}.parquet" for index in range(len(group))]
            # a few files a task, because handing over thousands one by one costs more than many a download
            tasks = min(len(group), _TASKS_A_GROUP)
            coming = [pool.submit(fetch, group[start::tasks], paths[start::tasks]) for start in range(tasks)]
            if fetched:
                yield _done(*fetched)
            fetched = group, paths, coming
        if fetched:
            yield _done(*fetched)


def _done(group: list[InputFile], paths: list[Path], coming: list[Future[None]]) -> tuple[list[InputFile], list[Path]]:
    for each in coming:
        each.result()
    return group, paths
