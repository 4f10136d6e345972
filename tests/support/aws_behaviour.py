"""How AWS behaves where neither a provider's schema nor moto says so, as rules of a plan.

Each rule names AWS's page (below https://docs.aws.amazon.com/), takes the planned resources and returns one sentence
for each breach. Rights are in `permissions`; what the project wants beyond AWS's behaviour is in `terraform_rules`.
"""

import json
from collections.abc import Iterator
from typing import Any

from stock_pipeline.aws.state_table import EXPIRES_AT
from tests.support.alarm_behaviour import ALARMS
from tests.support.terraform_rules import Resource, Resources, Rule, as_list, beside, by_address, of_type, statements

# --- who may take a role --------------------------------------------------------------------------------------------


def roles_are_taken_for_this_account_only(resources: Resources) -> list[str]:
    """IAM/latest/UserGuide/confused-deputy.html: a service that serves every account names the one it acts for.

    Lambda is left out: its documentation lists no such key for execution roles
    (lambda/latest/dg/lambda-intro-execution-role.html).
    """
    return [
        f"{resource['address']} can be taken by {principal} for another account"
        for resource, statement in statements(resources)
        if resource["type"] == "aws_iam_role" and statement["Effect"] == "Allow"
        for principal in as_list(statement.get("Principal", {}).get("Service", []))
        if principal in ("scheduler.amazonaws.com", "ecs-tasks.amazonaws.com")
        and not {"aws:SourceAccount", "aws:SourceArn"} & _condition_keys(statement)
    ]


def _condition_keys(statement: dict[str, Any]) -> set[str]:
    return {key for keys in statement.get("Condition", {}).values() for key in keys}


def policies_of_a_role_fit(resources: Resources) -> list[str]:
    """IAM/latest/UserGuide/reference_iam-quotas.html: 10,240 characters for all inline policies of a role, without
    blanks.
    """
    sizes: dict[str, int] = {}
    for address, values in by_address(resources, "aws_iam_role_policy"):
        text = json.dumps(json.loads(values["policy"]), separators=(",", ":")).replace(" ", "")
        # a real account's number and partition are longer than a plan's placeholders
        sizes[address] = len(text) + 10 * text.count("arn:")
    return [f"{address} has {size} characters, 10,240 fit" for address, size in sizes.items() if size > 10_240]


# --- functions ------------------------------------------------------------------------------------------------------


def the_environment_of_a_function_fits(resources: Resources) -> list[str]:
    """lambda/latest/dg/gettingstarted-limits.html: 4 KB for all variables together."""
    return [
        f"{address} has {size} bytes of environment, 4,096 fit"
        for address, values in by_address(resources, "aws_lambda_function")
        for size in [sum(len(f"{k}{v}".encode()) for k, v in values["environment"][0]["variables"].items())]
        if size > 4096
    ]


def a_mapping_gives_up_before_the_stream_forgets(resources: Resources) -> list[str]:
    """lambda/latest/dg/kinesis-on-failure-destination.html, streams/latest/dev/kinesis-extended-retention.html.

    A record that leaves the stream first is neither processed nor sent to the destination.
    """
    hours = min((values["retention_period"] for _, values in by_address(resources, "aws_kinesis_stream")), default=0)
    return [
        f"{address} tries a record for {age} s, and the stream keeps it for {hours} hours"
        for address, values in by_address(resources, "aws_lambda_event_source_mapping")
        for age in [values.get("maximum_record_age_in_seconds", -1)]
        if not 0 < age < hours * 3600
    ]


def every_shard_can_have_its_invocation(resources: Resources) -> list[str]:
    """lambda/latest/dg/services-kinesis-create.html: one invocation at a time for each shard, times the
    parallelization.
    """
    shards = max((values.get("shard_count", 1) for _, values in by_address(resources, "aws_kinesis_stream")), default=1)
    return [
        f"{address} may run {reserved} times at once, and {wanted} shards and lanes call it"
        for mapping in of_type(resources, "aws_lambda_event_source_mapping")
        for wanted in [shards * mapping["values"].get("parallelization_factor", 1)]
        for function in beside(resources, mapping, "aws_lambda_function")
        for address, reserved in [(function["address"], function["values"].get("reserved_concurrent_executions", -1))]
        if 0 <= reserved < wanted
    ]


def a_message_stays_hidden_while_its_reader_works(resources: Resources) -> list[str]:
    """AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html: else a second reader gets it too."""
    longest = max((values["timeout"] for _, values in by_address(resources, "aws_lambda_function")), default=0)
    return [
        f"{address} shows a message again after {values['visibility_timeout_seconds']} s, and a function works "
        f"for {longest}"
        for address, values in by_address(resources, "aws_sqs_queue")
        if values["visibility_timeout_seconds"] < longest
    ]


# --- log groups -----------------------------------------------------------------------------------------------------


def log_groups_are_there_before_their_writers(resources: Resources) -> list[str]:
    """A service makes a group that is missing: without retention, without the key, and outside Terraform.

    lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html,
    AmazonRDS/latest/UserGuide/USER_LogAccess.Procedural.UploadtoCloudWatch.html,
    AmazonCloudWatch/latest/monitoring/Container-Insights-reference-performance-logs-ECS.html
    """
    groups = {values["name"] for _, values in by_address(resources, "aws_cloudwatch_log_group")}
    return [
        f"{writer} writes to {group}, which nobody makes"
        for writer, group in _written(resources)
        if group not in groups
    ]


def _written(resources: Resources) -> Iterator[tuple[str, str]]:
    for address, values in by_address(resources, "aws_lambda_function"):
        chosen = (values.get("logging_config") or [{}])[0].get("log_group")
        yield address, chosen or f"/aws/lambda/{values['function_name']}"
    for address, values in by_address(resources, "aws_db_instance"):
        for kind in values.get("enabled_cloudwatch_logs_exports", ()):
            yield address, f"/aws/rds/instance/{values['identifier']}/{kind}"
    for address, values in by_address(resources, "aws_ecs_cluster"):
        if any(each["name"] == "containerInsights" and each["value"] != "disabled" for each in values["setting"]):
            yield address, f"/aws/ecs/containerinsights/{values['name']}/performance"
    for address, values in by_address(resources, "aws_ecs_task_definition"):
        for container in json.loads(values.get("container_definitions") or "[]"):
            options = container.get("logConfiguration", {}).get("options", {})
            if "awslogs-group" in options:
                yield address, options["awslogs-group"]


# --- notifications --------------------------------------------------------------------------------------------------


def notifications_go_to_standard_queues_and_topics(resources: Resources) -> list[str]:
    """AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html: S3 and CloudWatch know no
    FIFO.
    """
    return [
        f"{resource['address']} is FIFO"
        for resource in of_type(resources, "aws_sqs_queue", "aws_sns_topic")
        if resource["values"].get("fifo_queue")
        or resource["values"].get("fifo_topic")
        or resource["values"]["name"].endswith(".fifo")
    ]


def notifications_of_a_bucket_do_not_overlap(resources: Resources) -> list[str]:
    """AmazonS3/latest/userguide/notification-how-to-filtering.html: S3 refuses overlapping prefixes of one event."""
    problems = []
    for address, values in by_address(resources, "aws_s3_bucket_notification"):
        rules = [rule for kind in ("queue", "topic", "lambda_function") for rule in values.get(kind) or ()]
        prefixes = [rule.get("filter_prefix") or "" for rule in rules]
        problems += [
            f"{address} tells of {one!r} and {other!r}"
            for place, one in enumerate(prefixes)
            for other in prefixes[place + 1 :]
            if one.startswith(other) or other.startswith(one)
        ]
    return problems


# --- storage --------------------------------------------------------------------------------------------------------

SMALL_FILES = ("raw/", "quarantine/", "redrive/", "checkpoints/", "failed/", "aws/lambda/", "dagster-logs/")


def small_objects_are_not_moved(resources: Resources) -> list[str]:
    """AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html.

    Objects below 128 KB stay where they are; moving others early costs thirty days of the colder class.
    """
    problems = []
    for address, values in by_address(resources, "aws_s3_bucket_lifecycle_configuration"):
        for rule in values["rule"]:
            chosen = rule["filter"][0] if rule["filter"] else {}
            both = (chosen.get("and") or [{}])[0]
            prefix = both.get("prefix") or chosen.get("prefix") or ""
            for transition in rule.get("transition") or ():
                if transition["days"] < 30:
                    problems.append(f"{address} moves {rule['id']} after {transition['days']} days, 30 are the least")
                if any(each.startswith(prefix) or prefix.startswith(each) for each in SMALL_FILES):
                    problems.append(f"{address} moves {rule['id']}, whose objects are too small to move")
            ends = [each["days"] for each in rule.get("expiration") or () if each.get("days")]
            moves = [each["days"] for each in rule.get("transition") or ()]
            if ends and moves and min(ends) <= max(moves):
                problems.append(f"{address} deletes {rule['id']} no later than it moves it")
    return problems


def items_expire_by_the_attribute_that_is_written(resources: Resources) -> list[str]:
    """amazondynamodb/latest/developerguide/howitworks-ttl.html: another attribute's name deletes nothing, silently."""
    return [
        f"{address} expires items by {ttl.get('attribute_name')}"
        for address, values in by_address(resources, "aws_dynamodb_table")
        for ttl in values.get("ttl") or [{}]
        if ttl.get("attribute_name") != EXPIRES_AT or not ttl.get("enabled")
    ]


def a_workgroup_decides_where_results_go(resources: Resources) -> list[str]:
    """athena/latest/ug/workgroups-settings-override.html: else each client's own place and encryption count."""
    return [
        f"{address} leaves results to its clients"
        for address, values in by_address(resources, "aws_athena_workgroup")
        for chosen in values["configuration"]
        if not chosen.get("enforce_workgroup_configuration")
        or not (chosen.get("result_configuration") or [{}])[0].get("output_location")
    ]


# --- Dagster's tasks ------------------------------------------------------------------------------------------------

FARGATE = {256: (512, 2048), 512: (1024, 4096), 1024: (2048, 8192), 2048: (4096, 16384), 4096: (8192, 30720)}
"""Megabytes from and to, by CPU units. AmazonECS/latest/developerguide/task-cpu-memory-error.html"""


def fargate_has_such_tasks(resources: Resources) -> list[str]:
    return [
        f"{address} asks Fargate for {cpu} units and {memory} MB"
        for address, values in by_address(resources, "aws_ecs_task_definition")
        for cpu, memory in [(int(values["cpu"]), int(values["memory"]))]
        if cpu not in FARGATE or not FARGATE[cpu][0] <= memory <= FARGATE[cpu][1]
    ]


def a_password_that_rotates_is_read_again(resources: Resources) -> list[str]:
    """AmazonRDS/latest/UserGuide/rds-secrets-manager.html: a managed password changes every seven days.

    AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html: a task reads a secret once, when it starts.
    Tasks either ask for a token at each connection (IAM authentication) or the rotation starts them anew.
    """
    problems = []
    for address, values in by_address(resources, "aws_db_instance"):
        if not values.get("manage_master_user_password") or values.get("iam_database_authentication_enabled"):
            continue
        if not list(of_type(resources, "aws_secretsmanager_secret_rotation")):
            problems.append(f"the password of {address} rotates, and the tasks keep the old one")
    return problems


def layers_of_images_come_through_the_endpoint(resources: Resources) -> list[str]:
    """AmazonECR/latest/userguide/vpc-endpoints.html, "create the Amazon S3 gateway endpoint": layers lie in ECR's
    bucket.
    """
    problems = []
    for address, values in by_address(resources, "aws_vpc_endpoint"):
        if not values["service_name"].endswith(".s3") or not values.get("policy"):
            continue
        region = values["service_name"].split(".")[-2]
        layer = f":prod-{region}-starport-layer-bucket/"
        statements_of_layers = [
            statement
            for statement in as_list(json.loads(values["policy"])["Statement"])
            if statement["Effect"] == "Allow"
            and any(layer in each or each == "*" for each in as_list(statement["Resource"]))
        ]
        if not statements_of_layers:
            problems.append(f"{address} lets no image be pulled")
    return problems


def the_database_lets_tokens_in(resources: Resources) -> list[str]:
    """AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html: a right to connect is of no use where tokens are not
    taken.
    """
    wanted = any("rds-db:connect" in as_list(statement["Action"]) for _, statement in statements(resources))
    return [
        f"{address} takes no tokens, and roles may connect with one"
        for address, values in by_address(resources, "aws_db_instance")
        if wanted and not values.get("iam_database_authentication_enabled")
    ]


BEHAVIOUR: tuple[Rule, ...] = (
    *ALARMS,
    roles_are_taken_for_this_account_only,
    policies_of_a_role_fit,
    the_environment_of_a_function_fits,
    a_mapping_gives_up_before_the_stream_forgets,
    every_shard_can_have_its_invocation,
    a_message_stays_hidden_while_its_reader_works,
    log_groups_are_there_before_their_writers,
    notifications_go_to_standard_queues_and_topics,
    notifications_of_a_bucket_do_not_overlap,
    small_objects_are_not_moved,
    items_expire_by_the_attribute_that_is_written,
    a_workgroup_decides_where_results_go,
    fargate_has_such_tasks,
    a_password_that_rotates_is_read_again,
    layers_of_images_come_through_the_endpoint,
    the_database_lets_tokens_in,
)


def resource(kind: str, address: str, **values: Any) -> Resource:
    return {"address": address, "type": kind, "values": values, "unknown": []}
