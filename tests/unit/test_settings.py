import dataclasses
from pathlib import Path

import pytest

from stock_pipeline.errors import SettingsError
from stock_pipeline.settings import SETTINGS, Settings, settings_table


def test_an_empty_environment_gives_the_documented_names() -> None:
    settings = Settings.from_env({})
    assert settings.stream_name == "stock-stream"
    assert settings.state_table_name == "stock-realtime"
    assert settings.bucket_name == "stock-historical-data-dev"
    assert settings.database_name == "stock_market"
    assert settings.moving_average_windows == (5, 20)


def test_every_field_has_one_variable() -> None:
    assert [s.field for s in SETTINGS] == [f.name for f in dataclasses.fields(Settings)]
    assert len({s.variable for s in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PARTITION_BUCKETS", "0"),
        ("PARTITION_BUCKETS", "many"),
        ("PARTITION_BUCKETS", ""),
        ("MOVING_AVERAGE_WINDOWS", "20,5"),
        ("MOVING_AVERAGE_WINDOWS", "5,,20"),
        ("MOVING_AVERAGE_WINDOWS", "5,51"),
        ("BUCKET_NAME", "Not_A_Bucket"),
        ("BUCKET_NAME", "bucket-with-newline\n"),
        ("DBT_TARGET", "postgres"),
        ("COMPACT_AFTER_SHARE", "1.5"),
        ("COMPACT_AFTER_SHARE", "nan"),
        ("FIRST_SESSION", "2026-11-26"),
        ("FIRST_SESSION", "1992-01-06"),
        ("FIRST_SESSION", "20260115"),
        ("DEAD_LETTER_QUEUE_URL", "my-queue"),
        ("UNPLANNED_DAYS", "2026-03-04"),
        ("UNPLANNED_DAYS", "2026-03-04=closed,2026-03-04=09:30-13:00"),
        ("UNPLANNED_DAYS", "2026-03-07=closed"),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_the_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_env({variable: value})
    message = str(error.value)
    assert message.startswith(f"{variable} is ")
    assert "it takes" in message
    assert "\n" not in message


def test_unplanned_days_come_back_as_they_are_written() -> None:
    text = "2026-03-04=closed,2026-03-05=09:30-14:00"
    settings = Settings.from_env({"UNPLANNED_DAYS": text.replace(",", ", ")})
    assert settings.environ()["UNPLANNED_DAYS"] == text
    assert Settings.from_env(settings.environ()) == settings


def test_every_setting_is_documented() -> None:
    assert settings_table() in (Path(__file__).parents[2] / "docs" / "settings.md").read_text()


def test_a_missing_setting_is_named_where_it_is_needed() -> None:
    with pytest.raises(SettingsError, match="DEAD_LETTER_QUEUE_URL is not set"):
        Settings.from_env({}).require_dead_letter_queue_url()


def test_a_secret_in_the_place_of_its_name_is_not_shown() -> None:
    with pytest.raises(SettingsError, match="PROVIDER_SECRET_NAME is not shown here") as error:
        Settings.from_env({"PROVIDER_SECRET_NAME": "key=PK123 secret=abc"})
    assert "PK123" not in str(error.value)
