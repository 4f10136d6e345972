"""DuckDB's connections, on which Ctrl-C does what it does everywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb


@contextmanager
def connected(path: str | Path = ":memory:", *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database for the length of a block. `KeyboardInterrupt` leaves it at once, also during a statement.

    DuckDB reports Ctrl-C as an error of its own, and closing waits for what its other threads work on until an
    interrupt ends that too.
    """
    with duckdb.connect(str(path), read_only=read_only) as connection:
        try:
            yield connection
        except KeyboardInterrupt:
            connection.interrupt()
            raise
        except RuntimeError as error:
            if not isinstance(error.__cause__, KeyboardInterrupt):
                raise
            connection.interrupt()
            raise error.__cause__ from None
