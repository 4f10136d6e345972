"""What all tests share: Hypothesis profiles, AWS services on loopback where a test asks for them, and async tests."""

import asyncio
import inspect
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stock_pipeline.aws import dead_letter_receipt
from stock_pipeline.local.stack import LocalStack, aws_services, stack_at
from tests.support.permissions.recording import CallsAreListed

settings.register_profile(
    "default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=False
)
settings.register_profile("nightly", settings.get_profile("default"), derandomize=False, max_examples=20_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure(config: pytest.Config) -> None:
    folder = tempfile.TemporaryDirectory(prefix="aws-calls-")
    config.add_cleanup(folder.cleanup)
    plugin = CallsAreListed(Path(folder.name))
    plugin.install()
    config.pluginmanager.register(plugin)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Tell of a failure when it happens: a run that something ends before its summary has said what failed."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        crash = getattr(report.longrepr, "reprcrash", None)
        sys.stdout.write(f"\nFAILED {report.nodeid}: {crash.message if crash else report.longrepr}\n")
        sys.stdout.flush()


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """The address of one moto server for the whole session; tests keep apart by the names they choose."""
    with aws_services() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def stack_endpoint() -> Iterator[str]:
    """The address of the moto server that every `stack` of a worker begins on: a second and a half of a start each."""
    with aws_services() as endpoint:
        yield endpoint


@pytest.fixture
def stack(stack_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStack]:
    """A local stack of its own, with the default names; its settings are in the environment."""
    with closing(HTTPConnection(stack_endpoint.removeprefix("http://"))) as connection:
        connection.request("POST", "/moto-api/reset")
        assert connection.getresponse().status == HTTPStatus.OK
    # moto has one server, which knows at once that a queue is empty
    monkeypatch.setattr(dead_letter_receipt, "WAIT_SECONDS", 0)
    own = {"PATH": os.environ["PATH"], "DUCKDB_PATH": f"{tmp_path}/stock_market.duckdb"}
    with stack_at(stack_endpoint, own) as running:
        for name, value in running.environ.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test in a loop of its own, for a minute at most."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), timeout=60))
    return True
