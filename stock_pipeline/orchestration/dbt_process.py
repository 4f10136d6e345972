"""dbt in this process: its project parsed once a run, and results of its nodes while it works.

Which models are built, and what Dagster makes of the results, belongs to `dbt_assets`.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg
from pydantic import PrivateAttr

from stock_pipeline.errors import PermanentError
from stock_pipeline.project_files import PROJECT, dbt_output

if TYPE_CHECKING:
    # a code server lists the models and builds none, so functions import dbt
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

PROJECT_DIR = PROJECT / "dbt_project"

RESULTS = frozenset({"LogSeedResult", "LogModelResult", "LogTestResult", "NodeFinished"})
"""Names of the events that say how a node ended."""

STOP_SECONDS = 25
"""That an interrupted command has to cancel its statements."""

STOP_TRIES = 5


class _Ended(NamedTuple):
    """How a command ended."""

    done: "dbtRunnerResult | None" = None
    error: BaseException | None = None


class DbtProcess(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The dbt commands of one run, on one parse of the project.

    target: of the profile.
    """

    target: str

    _manifest: "Manifest | None" = PrivateAttr(default=None)

    def results(self, command: Sequence[str], folder: Path) -> Iterator[dict[str, Any]]:
        """Run a command; yield how its nodes end, as soon as they do, in the form of dbt's log in JSON.

        If the caller stops listening, dbt stops as by Ctrl-C: its open statements are cancelled.

        folder: for compiled SQL and dbt's log.
        Raises `PermanentError` at the end, with what dbt says of nodes that failed.
        """
        said: SimpleQueue[dict[str, Any] | _Ended] = SimpleQueue()
        errors: list[str] = []

        def hear(message: Any) -> None:
            from dbt_common.events.functions import msg_to_dict

            if message.info.name in RESULTS:
                said.put(msg_to_dict(message))
            elif message.info.level == "error":
                errors.append(message.info.msg)

        def work() -> None:
            try:
                said.put(_Ended(self._invoke(command, folder, hear)))
            except BaseException as error:
                said.put(_Ended(error=error))

        # a thread of its own, because dbt returns at its end and Dagster is told of each node
        thread = threading.Thread(target=work, name="dbt", daemon=True)
        try:
            thread.start()
            while not isinstance(message := said.get(), _Ended):
                yield message
            thread.join()
        except BaseException:
            _stop(thread)
            raise
        finally:
            if self.target == "local":
                _let_go_of_duckdb()
        if message.error is not None:
            raise message.error
        if message.done is None or not message.done.success:
            raise PermanentError(f"dbt {command[0]} failed: {_reason(message.done, errors)}")

    def _invoke(self, command: Sequence[str], folder: Path, hear: Callable[[Any], None]) -> "dbtRunnerResult":
        """Run a command in this thread, which is not the one that Dagster cancels.

        Python drops an interrupt that comes in a weak reference's callback, and imports and parsing run many of them.
        """
        from dbt.cli.main import dbtRunner

        if self._manifest is None:
            self._manifest = parse(self.target, run_output() / self.target, write_json=False)
        arguments = ["--no-use-colors", "--no-write-json", *command, *_places(self.target, folder)]
        return dbtRunner(self._manifest, callbacks=[hear]).invoke(arguments)


def parse(target: str, folder: Path, write_json: bool) -> "Manifest":
    """Parse the project; needs no credentials and no network. What has not changed since the folder's parse is kept.

    write_json: write manifest.json into the folder.
    """
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    errors: list[str] = []

    def hear(message: Any) -> None:
        if message.info.level == "error":
            errors.append(message.info.msg)

    options = ["--log-level", "none", "--log-level-file", "none", "--write-json" if write_json else "--no-write-json"]
    done = dbtRunner(callbacks=[hear]).invoke([*options, "parse", *_places(target, folder)])
    if not isinstance(done.result, Manifest):
        raise PermanentError(f"dbt could not parse {PROJECT_DIR} for target {target}: {_reason(done, errors)}")
    return done.result


def run_output() -> Path:
    """Return the folder for what runs generate. In an account only dbt's own variable names one that can be written."""
    return Path(os.environ.get("DBT_TARGET_PATH") or dbt_output())


def _places(target: str, folder: Path) -> list[str]:
    project, output = os.fspath(PROJECT_DIR), os.fspath(folder)
    places = ["--project-dir", project, "--profiles-dir", project, "--target-path", output, "--log-path", output]
    return ["--target", target, *places]


def _reason(done: "dbtRunnerResult | None", errors: Sequence[str]) -> str:
    said = "\n".join(dict.fromkeys(line.strip() for line in errors if line.strip()))
    return said or str((done and done.exception) or "dbt gives no reason")


def _stop(thread: threading.Thread) -> None:
    """Interrupt dbt, again where a finalizer that just ran there swallowed it, and wait for its end."""
    tries = STOP_TRIES
    while thread.is_alive() and tries:
        _interrupt(thread)
        thread.join(STOP_SECONDS / STOP_TRIES)
        tries -= 1


def _interrupt(thread: threading.Thread) -> None:
    """Raise KeyboardInterrupt in dbt's thread, and cancel the statements that it waits for.

    dbt then starts no further node. Python raises in another thread by a function of its C interface only.
    """
    from dbt.adapters.factory import FACTORY

    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt))
    for adapter in tuple(FACTORY.adapters.values()):
        adapter.cancel_open_connections()  # type: ignore[attr-defined] # of every adapter over SQL


def _let_go_of_duckdb() -> None:
    """Close the file of the models, which the adapter holds for the life of its process: nobody else could read it."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
