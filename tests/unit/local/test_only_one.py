"""A second run in one folder is refused, and a killed one is in nobody's way."""

import subprocess
import sys
from pathlib import Path

import pytest

from stock_pipeline.errors import PermanentError
from stock_pipeline.local.only_one import only_one

HOLD = """
import sys
from pathlib import Path
from stock_pipeline.local.only_one import only_one
with only_one("up", Path(sys.argv[1])) as held:
    held.tell("http://127.0.0.1:3000")
    print(flush=True)
    input()
"""


def test_a_second_run_in_a_folder_hears_who_runs_there(tmp_path: Path) -> None:
    folder = tmp_path / ".stock-pipeline"
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout
        first.stdout.readline()
        with (
            pytest.raises(PermanentError, match=rf"\(process {first.pid}, http://127\.0\.0\.1:3000\): end it"),
            only_one("up", folder),
        ):
            raise AssertionError
        with only_one("up", tmp_path / "another"), only_one("demo", folder):
            pass
        first.kill()
    with only_one("up", folder):
        pass
