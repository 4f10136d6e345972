"""Price alerts on services on loopback: from a raw file to the topic, once, and what a check says of it."""

import json
from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from stock_pipeline.cli import main
from stock_pipeline.commands.alert_rules import rules_of
from stock_pipeline.commands.serve import service_of
from stock_pipeline.domain.lake_layout import alerts_key
from stock_pipeline.domain.session import session_date_of
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.settings import Settings
from stock_pipeline.wiring import Wiring
from tests.support.raw_files import put_raw_file
from tests.support.trades import trade

RULE = '[[alert]]\nname = "coin"\nsymbol = "BTC"\nabove = 10\n'


def test_a_crossing_reaches_the_topic_once_over_restarts(
    stack: LocalStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arn = stack.clients.sns.create_topic(Name="alarms")["TopicArn"]
    url = stack.clients.sqs.create_queue(QueueName="inbox")["QueueUrl"]
    attributes = stack.clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    stack.clients.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=attributes["QueueArn"])
    file = tmp_path / "alerts.toml"
    file.write_text(RULE)
    # a market that never closes, because nobody is called for a session that is over
    day = session_date_of(int(datetime.now(UTC).timestamp()) * 10**9)
    at_ns = int(datetime.combine(day, time(0, 0, 1), UTC).timestamp()) * 10**9
    put_raw_file(stack.wiring.objects, day, 1, [trade(0, feed="crypto", symbol="BTC", event_time_ns=at_ns)])
    for _ in range(2):
        with Wiring.open(Settings.from_env({**stack.environ, "ALERT_TOPIC_ARN": arn})) as wiring:
            service = service_of(wiring, rules_of(file))
            service.step(0.0)
            service.step(60.0)
            service.follower.close()
    messages = stack.clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    (message,) = [json.loads(each["Body"]) for each in messages]
    assert message["Subject"] == "Price alert: BTC 10.50, at or above 10.00"
    assert message["Message"].startswith("BTC (crypto) 10.50, at or above 10.00, ")
    assert capsys.readouterr().out == f"alert: {message['Message']}\n"
    (told,) = json.loads(stack.wiring.objects.get(alerts_key(day)))["alerts"]
    assert told["sent_at"]
    assert main(["alerts", "check", str(file), "--session", day.isoformat()]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"  {message['Message']}"
