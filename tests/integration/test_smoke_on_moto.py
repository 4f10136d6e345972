"""The smoke check against AWS services on loopback, with the processor running behind the stream, and without."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stock_pipeline.cli import main
from stock_pipeline.local.event_source.observer import SilentObserver
from stock_pipeline.local.lambda_functions import processor_poller
from stock_pipeline.local.stack import LocalStack


@pytest.fixture(autouse=True)
def an_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@contextmanager
def processing(stack: LocalStack) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=processor_poller(stack, SilentObserver()).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_marked_trade_goes_all_the_way_every_time(stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> None:
    with processing(stack):
        for _ in range(2):
            assert main(["smoke", "--env", "dev", "--timeout", "60"]) == 0
            printed = capsys.readouterr().out
            assert [line.split(" in ")[1] for line in printed.splitlines()[:3]] == ["S3", "DynamoDB", "the catalog"]
            assert "dev works" in printed


def test_a_pipeline_without_a_processor_fails_and_says_where(
    stack: LocalStack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["smoke", "--env", "dev", "--timeout", "0"]) == 1
    assert "is not in S3 after 0 s: look at the logs of stock-pipeline-dev-processor" in capsys.readouterr().err


def test_the_settings_that_were_deployed_are_taken(stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(".stock-pipeline/deployed")
    folder.mkdir(parents=True)
    (folder / "prod.json").write_text(json.dumps({"ENVIRONMENT": "prod", "STREAM_NAME": stack.settings.stream_name}))
    assert main(["smoke", "--env", "prod", "--timeout", "0"]) == 1
    assert "stock-pipeline-prod-processor" in capsys.readouterr().err


def test_another_environments_settings_are_refused(stack: LocalStack, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["smoke", "--env", "prod"]) == 1
    assert "these are the settings of dev" in capsys.readouterr().err
