"""Raw files fetched to disk, group by group, while the group before is in use."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from stock_pipeline.domain.compaction_plan import InputFile
from stock_pipeline.lake.input_files import groups
from stock_pipeline.lake.lake_access import Lake

_THREADS = 16


def downloaded(lake: Lake, files: Sequence[InputFile], folder: Path) -> Iterator[tuple[list[InputFile], list[Path]]]:
    """Groups of the files with where they lie on disk. Whoever takes a group deletes its files."""
    folder.mkdir()

    def fetch(file: InputFile, path: Path) -> Path:
        lake.download(file.key, path, file.etag)
        return path

    with ThreadPoolExecutor(_THREADS) as pool:
        fetched: tuple[list[InputFile], list[Future[Path]]] | None = None
        for number, group in enumerate(groups(files)):
            names = [folder / f"{number}-{index}.parquet" for index in range(len(group))]
            coming = [pool.submit(fetch, *pair) for pair in zip(group, names, strict=True)]
            if fetched:
                yield fetched[0], [each.result() for each in fetched[1]]
            fetched = group, coming
        if fetched:
            yield fetched[0], [each.result() for each in fetched[1]]
