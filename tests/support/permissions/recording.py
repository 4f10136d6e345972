"""The list of recorded calls, and the plugin of pytest that holds every test to it.

A test whose code makes a call that the list lacks fails and says so; `make aws-calls` writes the list anew. When all
tests ran, lines that none of them made are named at the end, because a grant looks used that is not. In CI, which runs
all of them, such a line fails the run.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.permissions.api_calls import Call
from tests.support.permissions.owners import LAPTOP, PERSON
from tests.support.permissions.recorder import Recorder

LIST = Path(__file__).parents[2] / "data" / "aws_calls.txt"
IN_CHILD = Path(__file__).parent / "in_child"
ADDING = "ADD_AWS_CALLS"
"""Set to 1, the tests add to the list instead of failing; all of them together write it anew."""


def recorded_calls() -> set[Call]:
    return {Call.of(line) for line in LIST.read_text().splitlines() if line and not line.startswith("#")}


def in_an_account(calls: set[Call]) -> set[Call]:
    return {call for call in calls if call.role not in (LAPTOP, PERSON)}


class CallsAreListed:
    """The plugin. One in each process of pytest; workers tell the first what they heard."""

    def __init__(self, folder: Path) -> None:
        self.spill = folder / f"calls-{os.getpid()}.txt"
        self.recorder = Recorder()
        self.known = recorded_calls()
        self.heard: set[Call] = set()
        self._read = 0

    def install(self) -> None:
        self.recorder.install()
        os.environ["RECORDED_CALLS"] = str(self.spill)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(IN_CHILD), os.environ.get("PYTHONPATH"))))

    def _new(self) -> set[Call]:
        """Return calls in an account since the last look that the list lacks."""
        if self.spill.exists() and self.spill.stat().st_size > self._read:
            with self.spill.open() as file:
                file.seek(self._read)
                whole = file.read().rpartition("\n")[0]
            self._read += len(whole) + 1
            self.recorder.calls |= {Call.of(line) for line in whole.splitlines()}
        fresh = in_an_account(self.recorder.calls) - self.heard
        self.heard |= fresh
        return fresh - self.known

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        yield
        missing = sorted(self._new())
        if missing and not os.environ.get(ADDING):
            lines = "\n  ".join(call.line() for call in missing)
            pytest.fail(
                f"calls of AWS that {LIST.name} lacks:\n  {lines}\nIf they are meant, add them with `make aws-calls`; "
                "then tests/contract/test_permissions.py says which roles may not make them",
                pytrace=False,
            )

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._new()
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["aws_calls"] = [call.line() for call in self.heard]
            return
        if os.environ.get(ADDING):
            whole = session.exitstatus == pytest.ExitCode.OK and _all_tests_ran(session)
            write_list(self.heard if whole else self.known | self.heard)
        elif session.exitstatus == pytest.ExitCode.OK and _all_tests_ran(session):
            self.unheard = sorted(self.known - self.heard)
            if self.unheard and os.environ.get("CI"):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_testnodedown(self, node: object) -> None:
        output = getattr(node, "workeroutput", {})
        self.heard |= {Call.of(line) for line in output.get("aws_calls", ())}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for call in getattr(self, "unheard", ()):
            terminalreporter.write_line(f"no test makes the call {call.line()} any more: remove it from {LIST.name}")


def write_list(calls: set[Call]) -> None:
    head = [line for line in LIST.read_text().splitlines() if line.startswith("#")]
    LIST.write_text("\n".join([*head, *sorted(call.line() for call in calls)]) + "\n")


def _all_tests_ran(session: pytest.Session) -> bool:
    options = session.config.option
    whole = session.config.args == session.config.getini("testpaths") or session.config.args == ["tests"]
    return whole and not options.keyword and not options.markexpr and not options.collectonly
