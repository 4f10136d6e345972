"""What the page shows of CloudWatch is what was put there."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stock_pipeline.aws.cloud_watch import NAMESPACE, CloudWatch, ShownAlarm
from stock_pipeline.commands.page_facts import HOUR
from stock_pipeline.metrics import METRICS
from stock_pipeline.serving.shapes import Processor
from stock_pipeline.streaming import telemetry
from tests.support.emulated_services import local_clients

TOPIC = "arn:aws:sns:us-east-1:000000000000:alarms-of-ours"


@pytest.fixture(scope="module")
def client(aws_endpoint: str) -> Iterator[Any]:
    with closing(local_clients(aws_endpoint)) as clients:
        yield clients.cloudwatch


def put_alarm(client: Any, name: str, topic: str, state: str) -> None:
    client.put_metric_alarm(
        AlarmName=name,
        EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold",
        MetricName="Lag",
        Namespace=NAMESPACE,
        Period=60,
        Statistic="Maximum",
        Threshold=1,
        AlarmActions=[topic],
    )
    client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="as the test wants it")


def test_alarms_are_those_of_the_topic_and_what_rings_is_first(client: Any) -> None:
    for name, topic, state in (
        ("ours-a", TOPIC, "OK"),
        ("ours-b", TOPIC, "ALARM"),
        ("others", f"{TOPIC[:-4]}theirs", "ALARM"),
    ):
        put_alarm(client, name, topic, state)
    assert CloudWatch(client).alarms(TOPIC) == [
        ShownAlarm("ours-b", "ALARM", "as the test wants it"),
        ShownAlarm("ours-a", "OK", "as the test wants it"),
    ]


def test_the_last_hour_is_of_one_service_and_environment(client: Any) -> None:
    now = datetime.now(UTC)

    def put(environment: str, value: float, age: timedelta) -> None:
        dimensions = [{"Name": "Service", "Value": "processor"}, {"Name": "Environment", "Value": environment}]
        data = {"MetricName": "StateWrites", "Dimensions": dimensions, "Value": value, "Timestamp": now - age}
        client.put_metric_data(Namespace=NAMESPACE, MetricData=[data])

    watch, wanted = CloudWatch(client), {"writes": ("StateWrites", "Sum"), "batches": ("StateWrites", "SampleCount")}
    assert watch.last_hour("processor", "one", wanted, now) is None
    for age in (1, 20, 90):
        put("one", age, timedelta(minutes=age))
    put("two", 500, timedelta(minutes=1))
    assert watch.last_hour("processor", "one", wanted, now) == {"writes": 21, "batches": 2}


def test_the_page_asks_for_metrics_that_somebody_writes() -> None:
    assert NAMESPACE == telemetry.NAMESPACE
    assert set(HOUR) == set(Processor.__struct_fields__)
    assert {metric for metric, _ in HOUR.values()} <= {metric.name for metric in METRICS}
