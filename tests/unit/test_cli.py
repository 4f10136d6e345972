"""The command line's own business: what a terminal can show, how an error looks, version and completion."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stock_pipeline import cli
from stock_pipeline.cli import main

COMMAND = Path(sys.executable).with_name("stock-pipeline")


def test_a_terminal_without_the_signs_shows_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(shown, encoding="latin-1", write_through=True))
    assert main(["demo", "--json", str(tmp_path / "✓" / "out.json")]) == 1
    assert b"?/out.json can't be written" in shown.getvalue()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment that names an account's resources, and has no way to it."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "BUCKET_NAME": "nobodys-bucket",
        "STREAM_NAME": "stream",
        "STATE_TABLE_NAME": "table",
        "DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:9/queue",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


REACHING = [
    ["compact", "--session", "2018-01-02"],
    ["gc"],
    ["catalog", "rebuild"],
    ["state", "rebuild"],
    ["redrive"],
    ["status"],
    ["smoke", "--timeout", "0"],
]


@pytest.mark.parametrize("arguments", REACHING, ids=lambda arguments: arguments[0])
def test_missing_credentials_and_a_deaf_service_are_one_sentence(
    account: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said == "stock-pipeline: no AWS credentials found: set AWS_PROFILE, or sign in to the account\n"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        account.setenv(name, "testing")
    account.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "Could not connect" in said or "(EndpointConnectionError); try again" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [*REACHING, ["query", "SELECT 1"], ["import", "FILE"], ["stream"]], ids=lambda arguments: arguments[0]
)
def test_a_command_asks_where_rather_than_guess(
    account: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    for name in ("BUCKET_NAME", "DEAD_LETTER_QUEUE_URL", "STREAM_NAME", "STATE_TABLE_NAME"):
        account.delenv(name)
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith("stock-pipeline: nothing runs here, and no account is named: ")


def test_the_systems_errors_are_sentences_and_debug_shows_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "missing" / "tables.sql"
    assert main(["ddl", "--output", str(file)]) == 1
    assert capsys.readouterr().err == f"stock-pipeline: {file}: No such file or directory\n"
    for arguments in (["--debug", "ddl", "--output", str(file)], ["ddl", "--output", str(file), "--debug"]):
        with pytest.raises(FileNotFoundError):
            main(arguments)


def test_a_defect_is_no_sentence() -> None:
    assert cli.sentence(ZeroDivisionError()) is None
    assert cli.sentence(ModuleNotFoundError(name="no_such_module")) is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compact", "--session", "2018-13-02"], "'2018-13-02' is no date: it takes one such as 2018-01-02"),
        (["redrive", "--reason", "foo"], "invalid choice: 'foo' (choose from 'not_json', 'schema'"),
        (["redrive", "--limit", "-1"], "'-1' can't be used: it takes a whole number from 0"),
        (["smoke", "--timeout", "nan"], "'nan' can't be used: it takes a number from 0"),
        (["up", "--port", "70000"], "'70000' can't be used: it takes a whole number from 0 to 65,535"),
    ],
)
def test_a_wrong_argument_is_told_what_it_takes(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err.replace("choose from not_json, schema", "choose from 'not_json', 'schema'")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "stock-pipeline 0.2.0\n"


@pytest.mark.parametrize(("words", "offers"), [("stat", {"state", "status"}), ("query --form", {"--format"})])
def test_bash_completes_commands_and_their_options(tmp_path: Path, words: str, offers: set[str]) -> None:
    script = (
        f'eval "$({COMMAND} --completion bash)"; COMP_LINE="stock-pipeline {words}"; COMP_POINT=${{#COMP_LINE}}; '
        "COMP_TYPE=9; COMP_WORDS=($COMP_LINE); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
        '_python_argcomplete stock-pipeline; echo "${COMPREPLY[@]}"'
    )
    environ = {**os.environ, "PATH": f"{COMMAND.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert set(done.stdout.split()) == offers, done.stderr


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    command = f"{COMMAND} --help | head -1; {COMMAND} cost | head -1"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        (["cost", "--trades-per-day", "5"], "usage: stock-pipeline cost "),
        (["catalog", "rebuild", "--dry-run"], "usage: stock-pipeline catalog rebuild "),
        (["--verbose", "latest"], "usage: stock-pipeline latest "),
    ],
)
def test_an_option_that_a_command_lacks_shows_those_that_it_has(
    capsys: pytest.CaptureFixture[str], arguments: list[str], usage: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    said = capsys.readouterr().err
    assert said.startswith(usage)
    assert "unrecognized arguments: --" in said


@pytest.mark.parametrize("arguments", [["import"], ["demo", "--trades"]])
def test_a_folder_in_a_files_place_is_called_one(
    account: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main([*arguments, str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"stock-pipeline: {tmp_path} is a folder: name the files in it\n"


def test_a_bill_is_aligned_and_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost"]) == 0
    lines = capsys.readouterr().out.splitlines()
    amounts = [line for line in lines if line[-3:-2] == "."]
    assert len(amounts) > 10
    assert {len(line) for line in amounts} == {76}


def test_a_reader_that_left_before_a_long_option_printed_is_no_defect() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run([COMMAND, "--completion", "bash"], stdout=closed, stderr=subprocess.PIPE, check=False)
    assert b"Traceback" not in done.stderr
