"""How CloudWatch's alarms behave, as rules of a plan; `aws_behaviour` has the rules of everything else."""

from collections.abc import Iterator
from typing import Any

from stock_pipeline.metrics import METRICS
from stock_pipeline.orchestration import watch_report
from stock_pipeline.streaming.telemetry import NAMESPACE
from tests.support.terraform_rules import Resources, Rule, by_address, of_type

DAY = 86_400

EMITTED: dict[tuple[str, str], tuple[str, str]] = {
    **{
        ("AWS/Lambda", metric): ("FunctionName", "aws_lambda_function.function_name")
        for metric in (
            "Errors",
            "Throttles",
            "Duration",
            "Invocations",
            "IteratorAge",
            "DestinationDeliveryFailures",
            "DeadLetterErrors",
            "OnFailureDestinationDeliveredEventCount",
            "DroppedEventCount",
            "ConcurrentExecutions",
        )
    },
    **{
        ("AWS/Kinesis", metric): ("StreamName", "aws_kinesis_stream.name")
        for metric in (
            "IncomingRecords",
            "IncomingBytes",
            "WriteProvisionedThroughputExceeded",
            "ReadProvisionedThroughputExceeded",
            "GetRecords.IteratorAgeMilliseconds",
        )
    },
    **{
        ("AWS/SQS", metric): ("QueueName", "aws_sqs_queue.name")
        for metric in (
            "ApproximateNumberOfMessagesVisible",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateAgeOfOldestMessage",
            "NumberOfMessagesSent",
            "NumberOfMessagesReceived",
            "NumberOfMessagesDeleted",
        )
    },
    **{
        ("AWS/DynamoDB", metric): ("TableName", "aws_dynamodb_table.name")
        for metric in ("ReadThrottleEvents", "WriteThrottleEvents", "ThrottledRequests", "UserErrors", "SystemErrors")
    },
    **{
        ("AWS/Scheduler", metric): ("ScheduleGroup", "aws_scheduler_schedule_group.name")
        for metric in ("InvocationDroppedCount", "TargetErrorCount", "InvocationAttemptCount")
    },
    **{
        ("AWS/RDS", metric): ("DBInstanceIdentifier", "aws_db_instance.identifier")
        for metric in (
            "FreeStorageSpace",
            "CPUCreditBalance",
            "DatabaseConnections",
            "CPUUtilization",
            "FreeableMemory",
        )
    },
    **{
        ("ECS/ContainerInsights", metric): ("ClusterName", "aws_ecs_cluster.name")
        for metric in ("RunningTaskCount", "DesiredTaskCount", "EphemeralStorageUtilized", "MemoryUtilized")
    },
    **{
        ("AWS/NATGateway", metric): ("NatGatewayId", "aws_nat_gateway.id")
        for metric in ("ErrorPortAllocation", "PacketsDropCount")
    },
}
"""Metrics that services emit, with a dimension and the resource that it names. Each service's guide has a page of them:
lambda/latest/dg/monitoring-metrics-types.html, streams/latest/dev/monitoring-with-cloudwatch.html,
AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html,
amazondynamodb/latest/developerguide/metrics-dimensions.html, scheduler/latest/UserGuide/monitoring-cloudwatch.html,
AmazonRDS/latest/UserGuide/rds-metrics.html, AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html,
vpc/latest/userguide/metrics-dimensions-nat-gateway.html."""

NOT_EMITTED_UNLESS_ASKED = {
    "OnFailureDestinationDeliveredEventCount": "EventCount",
    "DroppedEventCount": "EventCount",
}
"""Metrics of an event source mapping: its metrics_config has to name their kind."""


def alarms_look_at_what_a_service_emits(resources: Resources) -> list[str]:
    """An alarm on a name or dimension that nobody emits is quiet for ever, or red for ever."""
    problems = []
    for address, metric in _metrics_of_alarms(resources):
        if metric["namespace"] == NAMESPACE:
            continue  # a test compares these with the reports
        known = EMITTED.get((metric["namespace"], metric["metric_name"]))
        if known is None:
            problems.append(f"{address} looks at {metric['namespace']} {metric['metric_name']}, which is not known")
            continue
        dimension, named = known
        kind, _, attribute = named.partition(".")
        there = {values.get(attribute) for _, values in by_address(resources, kind)}
        chosen = (metric.get("dimensions") or {}).get(dimension)
        if chosen not in there and attribute != "id":
            problems.append(f"{address} looks at {dimension} {chosen}, which the plan does not make")
    return problems


WITHOUT_AN_ALARM = {
    "ReceivedRecords": "a count; whether records come is read from Kinesis",
    "StateWrites": "a count",
    "StateConflicts": "tried again; a batch that never succeeds is unfinished",
    "LakeObjects": "a count",
    "LakeBytes": "a size",
    "EventTimeLagP99": "how late the processor is, the iterator's age says; how late a source is, StreamLagSeconds",
    "UnreadablePayloads": "each is a dead letter, which the queue's alarms tell of",
    "ProviderRequests": "a count",
    "ProviderErrors": "what they end in has alarms: RefusedRuns, UnfinishedRuns, StreamLagSeconds",
    "RateLimitWaitSeconds": "a run that waits too long is unfinished",
    "WaitingFrames": "what waits too long lags",
}
"""Reasons of metrics that no alarm looks at."""


def every_metric_has_an_alarm_or_a_reason(resources: Resources) -> list[str]:
    """What reports a failure and raises nothing is seen by nobody: Lambda counts it as a success.

    lambda/latest/dg/monitoring-metrics-types.html, "Errors"
    """
    looked_at = {
        metric["metric_name"] for _, metric in _metrics_of_alarms(resources) if metric["namespace"] == NAMESPACE
    }
    elsewhere = set() if any(of_type(resources, "aws_ecs_service")) else {each.name for each in watch_report.METRICS}
    printed = {metric.name for metric in METRICS} - elsewhere
    silent = printed - looked_at - set(WITHOUT_AN_ALARM)
    return [f"no alarm looks at {name}" for name in sorted(silent)] + [
        f"WITHOUT_AN_ALARM has {name}, which " + ("has one" if name in looked_at else "nobody prints")
        for name in sorted(set(WITHOUT_AN_ALARM) & looked_at | set(WITHOUT_AN_ALARM) - printed)
    ]


def metrics_that_have_to_be_asked_for_are(resources: Resources) -> list[str]:
    """lambda/latest/dg/monitoring-metrics-types.html, "event source mapping metrics"."""
    asked = {
        name
        for _, values in by_address(resources, "aws_lambda_event_source_mapping")
        for config in values.get("metrics_config") or ()
        for name in config["metrics"]
    }
    return [
        f"{address} looks at {metric['metric_name']}, which no mapping was told to emit"
        for address, metric in _metrics_of_alarms(resources)
        if NOT_EMITTED_UNLESS_ASKED.get(metric["metric_name"], "") not in {*asked, ""}
    ]


def _metrics_of_alarms(resources: Resources) -> Iterator[tuple[str, dict[str, Any]]]:
    for address, values in by_address(resources, "aws_cloudwatch_metric_alarm"):
        if values.get("metric_name"):
            yield address, values
        for query in values.get("metric_query") or ():
            for metric in query.get("metric") or ():
                yield address, metric


def alarms_look_back_no_further_than_cloudwatch_does(resources: Resources) -> list[str]:
    """AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html: a day in all; seven for periods from an hour on."""
    problems = []
    for address, values in by_address(resources, "aws_cloudwatch_metric_alarm"):
        periods = [values["period"]] if values.get("period") else []
        periods += [
            metric["period"] for query in values.get("metric_query") or () for metric in query.get("metric") or ()
        ]
        looks_back = max(periods, default=0) * values["evaluation_periods"]
        if looks_back > (7 * DAY if min(periods, default=0) >= 3600 else DAY):
            problems.append(f"{address} looks back over {looks_back} s")
    return problems


def alarms_ask_for_no_more_than_cloudwatch_takes(resources: Resources) -> list[str]:
    """AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html: ten metrics an alarm, one result, and no SEARCH."""
    problems = []
    for address, values in by_address(resources, "aws_cloudwatch_metric_alarm"):
        queries = values.get("metric_query") or []
        if sum(bool(query.get("metric")) for query in queries) > 10:
            problems.append(f"{address} has more than ten metrics")
        if queries and sum(bool(query.get("return_data")) for query in queries) != 1:
            problems.append(f"{address} returns not exactly one result")
        if any("SEARCH(" in (query.get("expression") or "") for query in queries):
            problems.append(f"{address} searches, which alarms do not")
    return problems


ALARMS: tuple[Rule, ...] = (
    alarms_look_at_what_a_service_emits,
    every_metric_has_an_alarm_or_a_reason,
    metrics_that_have_to_be_asked_for_are,
    alarms_look_back_no_further_than_cloudwatch_does,
    alarms_ask_for_no_more_than_cloudwatch_takes,
)
