"""Installs the recorder in processes that tests start: this folder is on their PYTHONPATH, RECORDED_CALLS names the
file.

It waits until botocore is imported, so that a process without it starts as it does elsewhere.
"""

import os
import sys


class AfterHandlers:
    """Finds `botocore.handlers` once, as the finders behind it do, and installs the recorder when it has run."""

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name != "botocore.handlers":
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(name)
        run = spec.loader.exec_module

        def run_and_install(module):  # type: ignore[no-untyped-def]
            run(module)
            from pathlib import Path

            sys.path.append(str(Path(__file__).parents[4]))
            from tests.support.permissions.recorder import Recorder

            Recorder(Path(os.environ["RECORDED_CALLS"])).install()

        spec.loader.exec_module = run_and_install
        return spec


if os.environ.get("RECORDED_CALLS"):
    sys.meta_path.insert(0, AfterHandlers())
