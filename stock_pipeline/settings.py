"""Every setting of the pipeline, read from the environment in this one place.

Documentation, Terraform and the local stack are tested against `SETTINGS`. boto3 reads its own variables
(AWS_ENDPOINT_URL, AWS_PROFILE, …).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from stock_pipeline.domain.capture import LONGEST_LOOK_BACK_SECONDS
from stock_pipeline.domain.session import UnplannedDay, is_session
from stock_pipeline.domain.trade import SYMBOL
from stock_pipeline.errors import SettingsError


class Setting(NamedTuple):
    """An environment variable.

    default: None if it must be set where it is used.
    expects: what it takes, as an error says it.
    """

    field: str
    variable: str
    default: str | None
    parse: Callable[[str], Any]
    expects: str


def _name(pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return parse


def _session_date(text: str) -> date:
    day = date.fromisoformat(text)
    if text != day.isoformat() or not is_session(day):
        raise ValueError
    return day


def _unplanned_days(text: str) -> tuple[UnplannedDay, ...]:
    days = tuple(UnplannedDay.parse(part.strip()) for part in text.split(",") if part.strip())
    if len({each.day for each in days}) != len(days):
        raise ValueError
    return days


def _share(text: str) -> float:
    if not re.fullmatch(r"0|1|0\.[0-9]{1,6}|1\.0{1,6}", text):
        raise ValueError
    return float(text)


def _windows(text: str) -> tuple[int, ...]:
    parse = _whole(1, 50)
    windows = tuple(parse(part.strip()) for part in text.split(","))
    if list(windows) != sorted(set(windows)):
        raise ValueError
    return windows


def _symbols(text: str) -> tuple[str, ...]:
    symbols = tuple(part.strip() for part in text.split(","))
    if len(set(symbols)) != len(symbols) or not all(SYMBOL.fullmatch(symbol) for symbol in symbols):
        raise ValueError
    return symbols


def _one_of(*allowed: str) -> Callable[[str], str]:
    return _name("|".join(allowed))


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "project_name",
        "PROJECT_NAME",
        "stock-pipeline",
        _name(r"[a-z][a-z0-9-]{1,30}"),
        "lower-case letters, digits and hyphens",
    ),
    Setting("environment", "ENVIRONMENT", "dev", _name(r"[a-z][a-z0-9]{0,15}"), "a short name such as dev or prod"),
    Setting("aws_region", "AWS_REGION", "us-east-1", _name(r"[a-z]{2}(-[a-z]+)+-\d"), "a region such as us-east-1"),
    Setting("stream_name", "STREAM_NAME", "stock-stream", _name(r"[A-Za-z0-9_.-]{1,128}"), "a Kinesis stream name"),
    Setting("stream_encoding", "STREAM_ENCODING", "ndjson", _one_of("ndjson", "zstd"), "ndjson or zstd"),
    Setting(
        "state_table_name",
        "STATE_TABLE_NAME",
        "stock-realtime",
        _name(r"[A-Za-z0-9_.-]{3,255}"),
        "a DynamoDB table name",
    ),
    Setting(
        "bucket_name",
        "BUCKET_NAME",
        "stock-historical-data-dev",
        _name(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
        "an S3 bucket name",
    ),
    Setting("database_name", "DATABASE_NAME", "stock_market", _name(r"[a-z0-9_]{1,255}"), "a Glue database name"),
    Setting(
        "dead_letter_queue_url",
        "DEAD_LETTER_QUEUE_URL",
        None,
        _name(r"https?://\S+"),
        "the URL of the SQS dead-letter queue",
    ),
    Setting("partition_buckets", "PARTITION_BUCKETS", "64", _whole(1, 4096), "a whole number from 1 to 4096"),
    Setting(
        "moving_average_windows",
        "MOVING_AVERAGE_WINDOWS",
        "5,20",
        _windows,
        "rising numbers of trades from 1 to 50, such as 5,20",
    ),
    Setting("state_ttl_days", "STATE_TTL_DAYS", "7", _whole(1, 36_500), "a whole number of days from 1 to 36500"),
    Setting(
        "future_tolerance_seconds",
        "FUTURE_TOLERANCE_SECONDS",
        "900",
        _whole(1, 86_400),
        "a whole number of seconds from 1 to 86400",
    ),
    Setting("provider", "PROVIDER", "alpaca", _one_of("alpaca", "finnhub"), "alpaca or finnhub"),
    Setting("feed", "FEED", "iex", _name(r"[a-z][a-z0-9_]{0,15}"), "a feed of the provider, such as iex or sip"),
    Setting("symbols", "SYMBOLS", "AAPL,AMZN,GOOG,MSFT,TSLA", _symbols, "ticker symbols, such as AAPL,MSFT"),
    Setting(
        "poll_interval_seconds", "POLL_INTERVAL_SECONDS", "5", _whole(1, 60), "a whole number of seconds from 1 to 60"
    ),
    Setting(
        "look_back_seconds",
        "LOOK_BACK_SECONDS",
        "60",
        _whole(0, LONGEST_LOOK_BACK_SECONDS),
        f"a whole number of seconds from 0 to {LONGEST_LOOK_BACK_SECONDS}",
    ),
    Setting("provider_url", "PROVIDER_URL", None, _name(r"https?://\S+"), "the address of the price API"),
    Setting(
        "provider_secret_name",
        "PROVIDER_SECRET_NAME",
        "stock-pipeline/dev/provider",
        _name(r"[A-Za-z0-9/_+=.@:-]{1,512}"),
        "the name or ARN of a Secrets Manager secret",
    ),
    Setting(
        "athena_workgroup", "ATHENA_WORKGROUP", "primary", _name(r"[A-Za-z0-9._-]{1,128}"), "an Athena workgroup's name"
    ),
    Setting(
        "athena_compaction_megabytes",
        "ATHENA_COMPACTION_MEGABYTES",
        "5000",
        _whole(0, 100_000_000),
        "a whole number of megabytes from 0 to 100000000",
    ),
    Setting("compact_after_share", "COMPACT_AFTER_SHARE", "0.25", _share, "a number from 0 to 1, such as 0.25"),
    Setting(
        "first_session", "FIRST_SESSION", "2007-01-03", _session_date, "a trading day from 1993 on, such as 2026-01-15"
    ),
    Setting(
        "unplanned_days",
        "UNPLANNED_DAYS",
        "",
        _unplanned_days,
        "days on which the exchange is closed or has other hours, such as 2026-03-04=closed,2026-03-05=09:30-14:00",
    ),
    Setting("dbt_target", "DBT_TARGET", "local", _one_of("local", "athena"), "local or athena"),
    Setting(
        "duckdb_path",
        "DUCKDB_PATH",
        ".stock-pipeline/stock_market.duckdb",
        _name(r"[^\0\n]+"),
        "the path of the DuckDB file of the local target",
    ),
    Setting(
        "alert_topic_arn",
        "ALERT_TOPIC_ARN",
        None,
        _name(r"arn:[a-z-]+:sns:[a-z0-9-]+:[a-z0-9]+:[A-Za-z0-9_-]{1,256}"),
        "the ARN of the SNS topic that hears of failed runs and ticks; without it they are log lines",
    ),
    Setting("dagster_url", "DAGSTER_URL", None, _name(r"https?://\S+"), "where alerts find Dagster's UI"),
    Setting("runbook_url", "RUNBOOK_URL", None, _name(r"https?://\S+"), "where alerts find docs/runbook.md"),
)


def settings_table() -> str:
    """Return the Markdown table of docs/settings.md: variable, default, what it takes."""
    rows = []
    for setting in SETTINGS:
        default = "none" if not setting.default else f"`{setting.default}`"
        rows.append(f"| `{setting.variable}` | {default} | {setting.expects} |")
    return "\n".join(["| variable | default | takes |", "|---|---|---|", *rows])


@dataclass(frozen=True, slots=True)
class Settings:
    """The pipeline's settings. Defaults are the documentation's names."""

    project_name: str
    environment: str
    aws_region: str
    stream_name: str
    stream_encoding: str
    state_table_name: str
    bucket_name: str
    database_name: str
    dead_letter_queue_url: str | None
    partition_buckets: int
    moving_average_windows: tuple[int, ...]
    state_ttl_days: int
    future_tolerance_seconds: int
    provider: str
    feed: str
    symbols: tuple[str, ...]
    poll_interval_seconds: int
    look_back_seconds: int
    provider_url: str | None
    provider_secret_name: str
    athena_workgroup: str
    athena_compaction_megabytes: int
    compact_after_share: float
    first_session: date
    unplanned_days: tuple[UnplannedDay, ...]
    dbt_target: str
    duckdb_path: str
    alert_topic_arn: str | None
    dagster_url: str | None
    runbook_url: str | None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read every setting; raise a `SettingsError` that names the variable and what it takes."""
        return cls(**{setting.field: _read(setting, environ) for setting in SETTINGS})

    def environ(self) -> dict[str, str]:
        """Return the variables from which `from_env` reads these settings."""
        values = {setting.variable: getattr(self, setting.field) for setting in SETTINGS}
        return {
            variable: ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            for variable, value in values.items()
            if value is not None
        }

    def require_dead_letter_queue_url(self) -> str:
        """Return the queue's URL; raise `SettingsError` if it is not set."""
        if self.dead_letter_queue_url is None:
            raise SettingsError("DEAD_LETTER_QUEUE_URL is not set: set it to the URL of the SQS dead-letter queue")
        return self.dead_letter_queue_url


def _read(setting: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(setting.variable, setting.default)
    if text is None:
        return None
    try:
        return setting.parse(text)
    except ValueError:
        # the text may be the secret itself, put where its name belongs
        shown = "not shown here" if "SECRET" in setting.variable else repr(text[:60])
        raise SettingsError(f"{setting.variable} is {shown}, which can't be used: it takes {setting.expects}") from None
