"""The live page of `stock-pipeline up`, in a process of its own: its work must not slow the pipeline's."""

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stock_pipeline.errors import StockPipelineError
from stock_pipeline.local.process_group import process_group

SERVING = "serving on "


@contextmanager
def live_page(environ: Mapping[str, str], port: int, log: Path, alerts: Path | None = None) -> Iterator[str]:
    """Run `stock-pipeline serve`, and yield its address once it serves. Its output goes to `log`.

    alerts: a file of rules to watch.
    """
    command = [str(Path(sys.executable).with_name("stock-pipeline")), "serve", "--port", str(port)]
    command += [] if alerts is None else ["--alerts", os.fspath(alerts)]
    log.parent.mkdir(parents=True, exist_ok=True)
    with process_group(command, {**environ, "PYTHONUNBUFFERED": "1"}, Path.cwd()) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        with log.open("w", encoding="utf-8", buffering=1) as file:
            file.write(first)
            if not first.startswith(SERVING):
                file.writelines(process.stdout)
                raise StockPipelineError(f"the live page did not start: {os.fspath(log)} says why")
            reader = threading.Thread(target=file.writelines, args=(process.stdout,), daemon=True)
            reader.start()
            try:
                yield first.removeprefix(SERVING).strip()
            finally:
                assert process.stdin is not None
                process.stdin.close()
                reader.join()
