"""A listed call that no test makes any more fails the run that can know: all tests, in CI."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.permissions.api_calls import Call
from tests.support.permissions.recording import ADDING, CallsAreListed

MADE = Call("processor", "s3:PutObject", "lake/raw/trades/*")
GONE = Call("processor", "s3:PutObject", "lake/nowhere/*")


def finished(folder: Path, args: list[str]) -> Any:
    plugin = CallsAreListed(folder)
    plugin.known, plugin.heard = {MADE, GONE}, {MADE}
    option = SimpleNamespace(keyword="", markexpr="", collectonly=False)
    config = SimpleNamespace(option=option, args=args, getini=lambda _: ["tests"])
    session = SimpleNamespace(config=config, exitstatus=pytest.ExitCode.OK)
    plugin.pytest_sessionfinish(session)  # type: ignore[arg-type]
    return session.exitstatus


@pytest.mark.parametrize(
    ("ci", "args", "status"),
    [
        ("true", ["tests"], pytest.ExitCode.TESTS_FAILED),
        ("", ["tests"], pytest.ExitCode.OK),
        ("true", ["tests/unit"], pytest.ExitCode.OK),
    ],
    ids=["all tests in CI", "all tests elsewhere", "some tests in CI"],
)
def test_a_listed_call_that_nobody_makes_fails_all_tests_in_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ci: str, args: list[str], status: pytest.ExitCode
) -> None:
    monkeypatch.delenv(ADDING, raising=False)
    monkeypatch.setenv("CI", ci)

    assert finished(tmp_path, args) == status
