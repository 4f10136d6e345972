"""Where a command works, and what it refuses to guess."""

import json
from pathlib import Path

import pytest

from stock_pipeline.errors import SettingsError
from stock_pipeline.place import DEMO_MODELS, environ_of, settings_file

NEEDS = ("BUCKET_NAME", "STREAM_NAME")
UP = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4444", "BUCKET_NAME": "of-up"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def deploy(name: str, **settings: str) -> None:
    settings_file(name).parent.mkdir(parents=True, exist_ok=True)
    settings_file(name).write_text(json.dumps(settings))


@pytest.mark.parametrize("environ", [{}, {"BUCKET_NAME": "mine"}, {"AWS_PROFILE": "work"}])
def test_no_default_names_anybodys_bucket(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="nothing runs here, and no account is named: start stock-pipeline up"):
        environ_of(None, environ, NEEDS)
    with pytest.raises(SettingsError, match="STREAM_NAME"):
        environ_of("dev", environ, NEEDS)
    with pytest.raises(SettingsError, match="nothing runs here"):
        environ_of("local", environ, NEEDS)


def test_a_refusal_names_the_deployments_that_are_known() -> None:
    deploy("prod", ENVIRONMENT="prod")
    with pytest.raises(SettingsError, match="say --env prod, or set BUCKET_NAME"):
        environ_of(None, {}, NEEDS)


@pytest.mark.parametrize("name", [None, "local"])
def test_what_runs_here_is_found_and_no_profile_leads_away(name: str | None) -> None:
    deploy("local", **UP)
    found = environ_of(name, {"AWS_PROFILE": "work", "BUCKET_NAME": "prods", "PATH": "/bin"}, NEEDS)
    assert found.items() >= (UP | {"PATH": "/bin"}).items()
    assert "AWS_PROFILE" not in found


def test_an_account_is_reached_beside_what_runs_here() -> None:
    deploy("local", **UP)
    deploy("prod", ENVIRONMENT="prod", BUCKET_NAME="prods", STREAM_NAME="stream")
    found = environ_of("prod", {"AWS_PROFILE": "work"}, NEEDS)
    assert (found["AWS_PROFILE"], found["BUCKET_NAME"]) == ("work", "prods")
    assert "AWS_ENDPOINT_URL" not in found


def test_an_environment_that_names_everything_needs_no_option() -> None:
    environ = {"BUCKET_NAME": "prods", "STREAM_NAME": "stream", "ENVIRONMENT": "prod"}
    assert environ_of(None, environ, NEEDS) == environ
    assert environ_of("prod", environ, NEEDS) == environ
    with pytest.raises(SettingsError, match="these are the settings of prod"):
        environ_of("dev", environ, NEEDS)


def test_on_loopback_every_name_is_ones_own() -> None:
    deploy("local", **UP)
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5555"}
    assert environ_of(None, environ, NEEDS) == environ
    settings_file("local").unlink()
    with pytest.raises(SettingsError, match="set BUCKET_NAME"):
        environ_of(None, {"AWS_ENDPOINT_URL": "https://elsewhere.example", "STREAM_NAME": "s"}, NEEDS)


@pytest.mark.parametrize("text", ["", "[1]", '{"BUCKET_NAME": 1}', '{"BUCKET'])
def test_torn_settings_are_one_sentence(text: str) -> None:
    deploy("dev")
    settings_file("dev").write_text(text)
    with pytest.raises(SettingsError, match=r"dev\.json can't be read as settings"):
        environ_of("dev", {}, NEEDS)


def test_what_a_demo_left_is_read_where_there_is_nothing_else() -> None:
    with pytest.raises(SettingsError, match="no demo left anything here: run stock-pipeline demo"):
        environ_of("demo", {}, NEEDS, only_reads=True)
    DEMO_MODELS.parent.mkdir(parents=True)
    DEMO_MODELS.touch()
    for name in (None, "demo"):
        found = environ_of(name, {"AWS_PROFILE": "work"}, NEEDS, only_reads=True)
        assert found["DUCKDB_PATH"] == str(DEMO_MODELS.absolute())
        assert "AWS_PROFILE" not in found
    with pytest.raises(SettingsError, match="the demo's services are gone"):
        environ_of("demo", {}, NEEDS)
    with pytest.raises(SettingsError, match="nothing runs here"):
        environ_of(None, {}, NEEDS)
    named = {"BUCKET_NAME": "prods", "STREAM_NAME": "stream"}
    assert environ_of(None, named, NEEDS, only_reads=True) == named
    deploy("local", **UP)
    assert environ_of(None, {}, NEEDS, only_reads=True)["BUCKET_NAME"] == "of-up"
    deploy("demo", ENVIRONMENT="demo", BUCKET_NAME="a-team", STREAM_NAME="stream")
    assert environ_of("demo", {}, NEEDS)["BUCKET_NAME"] == "a-team"
