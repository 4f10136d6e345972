"""What Terraform plans for dev and prod fits the code that it deploys: settings, tables, metrics, hours."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any

import boto3
import pytest

from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.domain.capture import capture_end_ns
from stock_pipeline.domain.cost import ALARM_METRICS, DAGSTER_ALARM_METRICS
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.session import exchange_time_zone, trading_days
from stock_pipeline.local.event_source.mapping import EventSourceMapping
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.metrics import METRICS
from stock_pipeline.providers.selection import feed_delay_seconds
from stock_pipeline.settings import SETTINGS, Settings
from stock_pipeline.streaming.stream_sink import StreamProgress
from stock_pipeline.streaming.telemetry import NAMESPACE, Telemetry
from tests.support import terraform_rules as rules
from tests.support.alarms import planned_alarms, queried
from tests.support.plans import ENVIRONMENTS, ROOT, load_plan, values_of

FUNCTIONS = ("producer", "processor", "redrive")


BOTO3_VARIABLES = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL",
        "AWS_DEFAULT_REGION",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "no_proxy",
        "NO_PROXY",
    }
)
"""What the local stack sets to keep boto3 on loopback; an account's processes have a role instead."""


SET_BY_LAMBDA = "AWS_REGION"


ON_A_LAPTOP_ONLY = "DUCKDB_PATH"


ON_REQUEST_ONLY = {"PROVIDER_URL", "DAGSTER_URL", "RUNBOOK_URL"}
"""Set where a proxy is needed, or where alerts should link elsewhere."""


IN_AN_ACCOUNT_ONLY = "ALERT_TOPIC_ARN"


def variables_of(resources: rules.Resources, function: str) -> dict[str, str]:
    values = values_of(resources, f"module.{function}.aws_lambda_function.this")
    return dict(values["environment"][0]["variables"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_terraform_sets_the_settings_that_the_code_reads(function: str, resources: list[rules.Resource]) -> None:
    variables = variables_of(resources, function)
    assert set(variables) == {setting.variable for setting in SETTINGS} - {
        SET_BY_LAMBDA,
        ON_A_LAPTOP_ONLY,
        *ON_REQUEST_ONLY,
    }
    settings = Settings.from_env(variables)
    assert settings.dbt_target == "athena"
    assert str(settings.alert_topic_arn).endswith(
        ":" + values_of(resources, "module.observability.aws_sns_topic.this")["name"]
    )
    assert settings.require_dead_letter_queue_url().endswith(
        values_of(resources, "module.dlq.aws_sqs_queue.this")["name"]
    )
    for field, address, name in (
        ("stream_name", "module.stream.aws_kinesis_stream.this", "name"),
        ("state_table_name", "module.state.aws_dynamodb_table.this", "name"),
        ("bucket_name", "module.lake.aws_s3_bucket.this", "bucket"),
        ("database_name", "module.catalog.aws_glue_catalog_database.this", "name"),
        ("athena_workgroup", "module.athena_of_the_pipeline.aws_athena_workgroup.this", "name"),
    ):
        assert getattr(settings, field) == values_of(resources, address)[name]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_dagster_gets_the_settings_that_the_code_reads(environment: str) -> None:
    variables = load_plan(environment)["settings"]
    assert set(variables) == {setting.variable for setting in SETTINGS} - {ON_A_LAPTOP_ONLY, *ON_REQUEST_ONLY}
    assert Settings.from_env(variables).environment == environment


def test_the_local_stack_sets_the_settings_that_the_code_reads(stack: LocalStack) -> None:
    inherited = {"PATH"}
    assert set(stack.environ) - BOTO3_VARIABLES - inherited == {setting.variable for setting in SETTINGS} - {
        *ON_REQUEST_ONLY,
        IN_AN_ACCOUNT_ONLY,
    }


def test_names_of_dev_are_the_names_that_the_code_defaults_to() -> None:
    settings = Settings.from_env(variables_of(load_plan("dev")["resources"], "processor"))
    defaults = Settings.from_env({})
    for field in (
        "project_name",
        "environment",
        "stream_name",
        "state_table_name",
        "bucket_name",
        "database_name",
        "partition_buckets",
        "moving_average_windows",
        "state_ttl_days",
        "future_tolerance_seconds",
        "provider",
        "feed",
        "symbols",
        "poll_interval_seconds",
        "look_back_seconds",
        "provider_secret_name",
    ):
        assert getattr(settings, field) == getattr(defaults, field)


@pytest.mark.parametrize("feed", ["iex", "sip"])
def test_the_producer_runs_until_the_last_trades_of_a_day_are_captured(
    feed: str, resources: list[rules.Resource]
) -> None:
    schedule = values_of(resources, 'module.scheduler.aws_scheduler_schedule.this["producer"]')
    assert schedule["schedule_expression_timezone"] == "America/New_York"
    hours = re.fullmatch(r"cron\(\* 4-(\d+) \? \* MON-FRI \*\)", schedule["schedule_expression"])
    assert hours is not None
    for session_date in trading_days(date(2025, 1, 1), date(2027, 12, 31)):
        end = datetime.fromtimestamp(capture_end_ns(session_date, feed_delay_seconds(feed)) / 1e9, UTC)
        local = end.astimezone(exchange_time_zone())
        last_run = datetime.combine(session_date, time(int(hours[1]), 59), exchange_time_zone())
        assert local < last_run
        # Compaction after the close follows it.
        assert local.time() < time(20, 30)


def test_terraform_and_the_poller_read_one_event_source_mapping(resources: list[rules.Resource]) -> None:
    local = EventSourceMapping.from_json((ROOT / "infra" / "event_source_mapping.json").read_text())
    planned = values_of(resources, "module.processor.aws_lambda_event_source_mapping.this[0]")
    for name in local.__slots__:
        expected = getattr(local, name)
        assert planned[name] == (list(expected) if isinstance(expected, tuple) else expected), name


def test_alarms_and_dashboard_look_at_reported_metrics(resources: list[rules.Resource]) -> None:
    declared = {metric.name: metric.dimension for metric in METRICS}
    looked_at = list(custom_metrics(resources))
    assert {name for name, _ in looked_at} >= {"RejectedRecords", "ReceivedTrades", "PublishedTrades"}
    for name, dimensions in looked_at:
        assert set(dimensions) == {"Service", "Environment", *filter(None, [declared[name]])}, name
    reasons = {dimensions["Reason"] for name, dimensions in looked_at if name == "RejectedRecords"}
    assert reasons == {str(reason) for reason in Reason}


@pytest.mark.parametrize(("lag_seconds", "fires"), [(2, False), (300, False), (899, False), (901, True)])
def test_the_alarm_on_a_stream_that_is_behind_fires_on_what_the_stream_tells(
    lag_seconds: int, fires: bool, resources: list[rules.Resource]
) -> None:
    alarm = values_of(resources, 'module.observability.aws_cloudwatch_metric_alarm.this["stream-lag"]')
    environment = variables_of(resources, "processor")["ENVIRONMENT"]
    lines: list[str] = []
    now_ns = 10**18
    progress = StreamProgress("listening", now_ns - lag_seconds * 10**9, "somewhere", 0)
    Telemetry("stream", environment, lines.append, lambda: now_ns).record(progress.events(now_ns))
    (line,) = map(json.loads, lines)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == alarm["namespace"]
    assert {name: line[name] for name in directive["Dimensions"][0]} == alarm["dimensions"]
    assert alarm["metric_name"] in [metric["Name"] for metric in directive["Metrics"]]
    assert (alarm["comparison_operator"], alarm["statistic"]) == ("GreaterThanThreshold", "Minimum")
    assert (line[alarm["metric_name"]] > alarm["threshold"]) is fires


def custom_metrics(resources: rules.Resources) -> Iterator[tuple[str, dict[str, str]]]:
    for alarm in rules.of_type(resources, "aws_cloudwatch_metric_alarm"):
        for query in alarm["values"]["metric_query"]:
            for metric in query.get("metric", ()):
                if metric["namespace"] == NAMESPACE:
                    yield metric["metric_name"], metric["dimensions"]
    (dashboard,) = rules.of_type(resources, "aws_cloudwatch_dashboard")
    for widget in json.loads(dashboard["values"]["dashboard_body"])["widgets"]:
        for line in widget["properties"]["metrics"]:
            namespace, *rest = [part for part in line if not isinstance(part, dict)] or [""]
            if namespace == NAMESPACE:
                name, *pairs = rest
                yield name, dict(zip(pairs[::2], pairs[1::2], strict=True))


@pytest.mark.parametrize(
    "table", ["raw_trades", "unpublished_trades", "trades", "rejected_records", "corporate_actions"]
)
def test_terraform_and_the_code_have_the_same_tables(table: str, resources: list[rules.Resource]) -> None:
    planned = values_of(resources, f'module.catalog.aws_glue_catalog_table.this["{table}"]')
    settings = Settings.from_env(variables_of(resources, "processor"))
    catalog = GlueCatalog(
        boto3.client("glue", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"),
        settings.database_name,
        settings.bucket_name,
    )
    expected = {table_input["Name"]: table_input for table_input in catalog.table_inputs()}[table]
    storage, planned_storage = expected["StorageDescriptor"], planned["storage_descriptor"][0]
    assert planned["name"] == expected["Name"]
    assert planned["description"] == expected["Description"]
    assert planned["table_type"] == expected["TableType"]
    assert planned["parameters"] == expected["Parameters"]
    assert columns(planned["partition_keys"]) == columns(expected["PartitionKeys"])
    assert columns(planned_storage["columns"]) == columns(storage["Columns"])
    assert planned_storage["location"] == storage["Location"]
    assert planned_storage["input_format"] == storage["InputFormat"]
    assert planned_storage["output_format"] == storage["OutputFormat"]
    assert planned_storage["ser_de_info"][0]["serialization_library"] == storage["SerdeInfo"]["SerializationLibrary"]


def columns(described: Any) -> list[tuple[str, str, str]]:
    lowered = [{key.lower(): value for key, value in column.items()} for column in described]
    return [(column["name"], column["type"], column["comment"]) for column in lowered]


def test_the_state_table_has_the_keys_that_the_code_writes(resources: list[rules.Resource], stack: LocalStack) -> None:
    planned = values_of(resources, "module.state.aws_dynamodb_table.this")
    local = stack.clients.dynamodb.describe_table(TableName=stack.settings.state_table_name)["Table"]
    keys = {key["KeyType"]: key["AttributeName"] for key in local["KeySchema"]}
    assert (planned["hash_key"], planned["range_key"]) == (keys["HASH"], keys["RANGE"])
    assert {(attribute["name"], attribute["type"]) for attribute in planned["attribute"]} == {
        (attribute["AttributeName"], attribute["AttributeType"]) for attribute in local["AttributeDefinitions"]
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_bill_counts_every_metric_that_an_alarm_looks_at(environment: str) -> None:
    alarms = planned_alarms(environment).values()
    dagster = DAGSTER_ALARM_METRICS if environment == "prod" else 0
    assert sum(len(queried(alarm)) or 1 for alarm in alarms) == ALARM_METRICS + dagster


def test_terraform_and_the_code_agree_how_far_a_feed_is_behind() -> None:
    (seconds,) = re.findall(
        r'feed_delay_seconds = var.feed == "sip" \? (\d+) \* 60 : 0', (ROOT / "infra/main.tf").read_text()
    )
    assert (int(seconds) * 60, 0) == (feed_delay_seconds("sip"), feed_delay_seconds("iex"))


def test_the_last_snapshot_of_a_database_has_a_name_of_its_own() -> None:
    """A name known before the apply is the name that the database before gave to its snapshot, which is still there."""
    (database,) = rules.of_type(load_plan("prod")["resources"], "aws_db_instance")
    assert "final_snapshot_identifier" in database["unknown"]
