"""The plans keep to how AWS behaves, and every such rule has been shown to fail."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import alarm_behaviour
from tests.support import aws_behaviour as rules
from tests.support.aws_behaviour import resource
from tests.support.plans import ENVIRONMENTS, load_plan
from tests.support.terraform_rules import Resource, Rule, of_type

Mutation = Callable[[list[Resource]], object]


def planned(environment: str) -> list[Resource]:
    return list(load_plan(environment)["resources"])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("rule", rules.BEHAVIOUR, ids=lambda rule: rule.__name__)
def test_the_plan_keeps_to_how_aws_behaves(rule: Rule, environment: str) -> None:
    assert rule(planned(environment)) == []


def setting(kind: str, **values: Any) -> Mutation:
    """The first resource of a type with other values."""
    return lambda resources: next(iter(of_type(resources, kind)))["values"].update(values)


def adding(kind: str, **values: Any) -> Mutation:
    return lambda resources: resources.append(resource(kind, f"{kind}.more", **values))


def without_group(beginning: str) -> Mutation:
    """The plan without the log group whose name begins so."""

    def mutate(resources: list[Resource]) -> None:
        groups = of_type(resources, "aws_cloudwatch_log_group")
        resources.remove(next(group for group in groups if group["values"]["name"].startswith(beginning)))

    return mutate


def trusting_without_conditions(resources: list[Resource]) -> None:
    for role in of_type(resources, "aws_iam_role"):
        policy = json.loads(role["values"]["assume_role_policy"])
        for statement in policy["Statement"]:
            statement.pop("Condition", None)
        role["values"]["assume_role_policy"] = json.dumps(policy)


def alarm(**values: Any) -> Mutation:
    usual = {"namespace": "AWS/SQS", "metric_name": "NumberOfMessagesSent", "period": 300, "evaluation_periods": 1}
    return adding("aws_cloudwatch_metric_alarm", **{**usual, **values})


def queries(*queried: dict[str, Any]) -> Mutation:
    return adding("aws_cloudwatch_metric_alarm", evaluation_periods=1, metric_query=list(queried))


def moving(prefix: str, days: int, expire_days: int | None = None) -> Mutation:
    rule: dict[str, Any] = {"id": "more", "filter": [{"prefix": prefix}], "transition": [{"days": days}]}
    if expire_days:
        rule["expiration"] = [{"days": expire_days}]
    return lambda resources: next(iter(of_type(resources, "aws_s3_bucket_lifecycle_configuration")))["values"][
        "rule"
    ].append(rule)


def sent(metric: str) -> dict[str, Any]:
    return {"metric": [{"namespace": "AWS/SQS", "metric_name": metric, "period": 300}], "return_data": False}


MUTATIONS: tuple[tuple[Rule, Mutation], ...] = (
    (rules.roles_are_taken_for_this_account_only, trusting_without_conditions),
    (
        rules.policies_of_a_role_fit,
        adding("aws_iam_role_policy", policy=json.dumps({"Statement": [{"Resource": ["arn:x" * 3] * 700}]})),
    ),
    (
        rules.the_environment_of_a_function_fits,
        setting("aws_lambda_function", environment=[{"variables": {"SYMBOLS": "AAPL," * 820}}]),
    ),
    (
        rules.a_mapping_gives_up_before_the_stream_forgets,
        setting("aws_lambda_event_source_mapping", maximum_record_age_in_seconds=604_800),
    ),
    (
        rules.a_mapping_gives_up_before_the_stream_forgets,
        setting("aws_lambda_event_source_mapping", maximum_record_age_in_seconds=-1),
    ),
    (
        rules.every_shard_can_have_its_invocation,
        lambda resources: [
            each["values"].update(reserved_concurrent_executions=1, shard_count=2, parallelization_factor=2)
            for each in resources
            if each["type"] in ("aws_lambda_function", "aws_kinesis_stream", "aws_lambda_event_source_mapping")
        ],
    ),
    (
        rules.a_message_stays_hidden_while_its_reader_works,
        setting("aws_sqs_queue", visibility_timeout_seconds=30),
    ),
    (rules.log_groups_are_there_before_their_writers, without_group("/aws/lambda/")),
    (
        rules.log_groups_are_there_before_their_writers,
        adding("aws_db_instance", identifier="db", enabled_cloudwatch_logs_exports=["postgresql"]),
    ),
    (
        rules.log_groups_are_there_before_their_writers,
        adding("aws_ecs_cluster", name="c", setting=[{"name": "containerInsights", "value": "enabled"}]),
    ),
    (
        rules.log_groups_are_there_before_their_writers,
        adding(
            "aws_ecs_task_definition",
            container_definitions=json.dumps([{"logConfiguration": {"options": {"awslogs-group": "/ecs/x"}}}]),
        ),
    ),
    (alarm_behaviour.alarms_look_at_what_a_service_emits, alarm(metric_name="ApproximateNumberOfMessages")),
    (alarm_behaviour.alarms_look_at_what_a_service_emits, alarm(dimensions={"QueueName": "another"})),
    (
        alarm_behaviour.every_metric_has_an_alarm_or_a_reason,
        lambda resources: [
            resources.remove(each)
            for each in list(of_type(resources, "aws_cloudwatch_metric_alarm"))
            if each["values"].get("metric_name") == "RefusedRuns"
        ],
    ),
    (
        alarm_behaviour.every_metric_has_an_alarm_or_a_reason,
        alarm(namespace="StockPipeline", metric_name="ProviderRequests"),
    ),
    (
        alarm_behaviour.metrics_that_have_to_be_asked_for_are,
        lambda resources: [
            alarm(namespace="AWS/Lambda", metric_name="DroppedEventCount")(resources),
            setting("aws_lambda_event_source_mapping", metrics_config=[])(resources),
        ],
    ),
    (alarm_behaviour.alarms_look_back_no_further_than_cloudwatch_does, alarm(period=300, evaluation_periods=289)),
    (alarm_behaviour.alarms_look_back_no_further_than_cloudwatch_does, alarm(period=86_400, evaluation_periods=8)),
    (
        alarm_behaviour.alarms_ask_for_no_more_than_cloudwatch_takes,
        queries({"expression": "m", "return_data": True}, *[sent("NumberOfMessagesSent")] * 11),
    ),
    (alarm_behaviour.alarms_ask_for_no_more_than_cloudwatch_takes, queries(sent("NumberOfMessagesSent"))),
    (
        alarm_behaviour.alarms_ask_for_no_more_than_cloudwatch_takes,
        queries({"expression": "SUM(SEARCH('x', 'Sum'))", "return_data": True}),
    ),
    (rules.notifications_go_to_standard_queues_and_topics, setting("aws_sqs_queue", name="q.fifo")),
    (rules.notifications_go_to_standard_queues_and_topics, setting("aws_sns_topic", fifo_topic=True)),
    (
        rules.notifications_of_a_bucket_do_not_overlap,
        setting("aws_s3_bucket_notification", queue=[{"filter_prefix": "aws/"}, {"filter_prefix": "aws/lambda/"}]),
    ),
    (rules.small_objects_are_not_moved, moving("raw/", 30)),
    (rules.small_objects_are_not_moved, moving("curated/", 10)),
    (rules.small_objects_are_not_moved, moving("curated/", 90, expire_days=90)),
    (
        rules.items_expire_by_the_attribute_that_is_written,
        setting("aws_dynamodb_table", ttl=[{"attribute_name": "expiresAt", "enabled": True}]),
    ),
    (
        rules.a_workgroup_decides_where_results_go,
        setting("aws_athena_workgroup", configuration=[{"enforce_workgroup_configuration": False}]),
    ),
    (rules.fargate_has_such_tasks, adding("aws_ecs_task_definition", cpu="512", memory="512")),
    (rules.fargate_has_such_tasks, adding("aws_ecs_task_definition", cpu="300", memory="1024")),
    (
        rules.a_password_that_rotates_is_read_again,
        adding("aws_db_instance", manage_master_user_password=True, iam_database_authentication_enabled=False),
    ),
    (
        rules.layers_of_images_come_through_the_endpoint,
        adding(
            "aws_vpc_endpoint",
            service_name="com.amazonaws.us-east-1.s3",
            policy=json.dumps(
                {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:x:s3:::lake/*"]}]}
            ),
        ),
    ),
    (
        rules.the_database_lets_tokens_in,
        lambda resources: [
            adding("aws_db_instance", iam_database_authentication_enabled=False)(resources),
            adding(
                "aws_iam_role_policy",
                policy=json.dumps(
                    {"Statement": [{"Effect": "Allow", "Action": "rds-db:connect", "Resource": "arn:x"}]}
                ),
            )(resources),
        ],
    ),
)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(
    ("rule", "mutate"), MUTATIONS, ids=[f"{rule.__name__}-{place}" for place, (rule, _) in enumerate(MUTATIONS)]
)
def test_a_plan_that_aws_would_treat_otherwise_is_found(rule: Rule, mutate: Mutation, environment: str) -> None:
    broken = copy.deepcopy(planned(environment))
    before = rule(planned(environment))
    mutate(broken)
    assert len(rule(broken)) > len(before)


def test_every_rule_of_behaviour_has_been_shown_to_fail() -> None:
    assert {rule for rule, _ in MUTATIONS} == set(rules.BEHAVIOUR)
