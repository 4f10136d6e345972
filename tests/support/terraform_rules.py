"""The rules of a plan. Each takes the planned resources and returns one sentence for each breach."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stock_pipeline.domain import lake_layout
from stock_pipeline.lake.expiring_files import TAG, VALUE

Resource = dict[str, Any]
Resources = Sequence[Resource]
Rule = Callable[[Resources], list[str]]

WITHOUT_ARNS = frozenset(
    {
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
        "ecr:GetAuthorizationToken",
        # listing and describing of ECS's and EC2's own affairs has no resource to name
        "ecs:DescribeTaskDefinition",
        "ec2:DescribeNetworkInterfaces",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
        "cloudwatch:GetMetricData",
        "cloudwatch:DescribeAlarms",
    }
)
"""Actions of services that know no ARN for them."""


BOUNDS_OF_A_NETWORK = ("aws_vpc_endpoint",)
"""Policies that say what a network may reach, and grant nobody anything."""


def of_type(resources: Resources, *types: str) -> Iterator[Resource]:
    return (resource for resource in resources if resource["type"] in types)


def by_address(resources: Resources, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield address and values of every resource of a type."""
    return ((resource["address"], resource["values"]) for resource in of_type(resources, kind))


def module_of(resource: Resource) -> str:
    return str(resource["address"]).rpartition(f"{resource['type']}.")[0]


def beside(resources: Resources, resource: Resource, kind: str) -> list[Resource]:
    """Return resources of a type in the same module."""
    return [other for other in of_type(resources, kind) if module_of(other) == module_of(resource)]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(resources: Resources) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """Yield every statement of every policy that the plan shows."""
    for resource in resources:
        for name in ("policy", "assume_role_policy"):
            if name in resource["values"] and isinstance(resource["values"][name], str):
                for statement in as_list(json.loads(resource["values"][name]).get("Statement", [])):
                    yield resource, statement


def every_policy_is_known(resources: Resources) -> list[str]:
    with_policy = ("aws_iam_role_policy", "aws_s3_bucket_policy", "aws_sqs_queue_policy", "aws_sns_topic_policy")
    return [
        f"{resource['address']} shows no policy in the plan"
        for resource in of_type(resources, *with_policy)
        if "policy" not in resource["values"]
    ]


def no_wildcard_actions(resources: Resources) -> list[str]:
    return [
        f"{resource['address']} allows {action}"
        for resource, statement in statements(resources)
        if statement["Effect"] == "Allow"
        and not _is_key_administration(resource, statement)
        and resource["type"] not in BOUNDS_OF_A_NETWORK
        for action in as_list(statement["Action"])
        if "*" in action
    ]


def _is_key_administration(resource: Resource, statement: dict[str, Any]) -> bool:
    """Say whether it is the statement that every key needs: without it nobody could change the key again."""
    principal = statement.get("Principal", {})
    return resource["type"] == "aws_kms_key" and str(principal.get("AWS", "")).endswith(":root")


def no_wildcard_principals(resources: Resources) -> list[str]:
    return [
        f"{resource['address']} lets anybody in"
        for resource, statement in statements(resources)
        if statement["Effect"] == "Allow" and resource["type"] not in BOUNDS_OF_A_NETWORK
        for principal in _principals(statement)
        if principal == "*"
    ]


def _principals(statement: dict[str, Any]) -> list[Any]:
    principal = statement.get("Principal", [])
    if isinstance(principal, dict):
        return [name for names in principal.values() for name in as_list(names)]
    return as_list(principal)


def every_resource_is_named(resources: Resources) -> list[str]:
    return [
        f"{resource['address']} allows {', '.join(sorted(actions))} on every resource"
        for resource, statement in statements(resources)
        if statement["Effect"] == "Allow" and resource["type"] != "aws_kms_key"
        for actions in [set(as_list(statement["Action"])) - WITHOUT_ARNS]
        if actions and "*" in as_list(statement.get("Resource", []))
    ]


def every_bucket_has_its_companions(resources: Resources) -> list[str]:
    problems = []
    for bucket in of_type(resources, "aws_s3_bucket"):
        for kind, holds in COMPANIONS.items():
            companions = beside(resources, bucket, kind)
            if not any(holds(companion["values"]) for companion in companions):
                problems.append(f"{bucket['address']} has no {kind} that protects it")
    return problems


def _denies_without_tls(values: dict[str, Any]) -> bool:
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport") == "false"
        for statement in json.loads(values["policy"])["Statement"]
    )


COMPANIONS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "aws_s3_bucket_ownership_controls": lambda values: values["rule"][0]["object_ownership"] == "BucketOwnerEnforced",
    "aws_s3_bucket_public_access_block": lambda values: all(
        values.get(name) is True
        for name in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    ),
    "aws_s3_bucket_versioning": lambda values: values["versioning_configuration"][0]["status"] == "Enabled",
    "aws_s3_bucket_server_side_encryption_configuration": lambda values: (
        values["rule"][0]["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "aws:kms"
    ),
    "aws_s3_bucket_policy": _denies_without_tls,
    "aws_s3_bucket_lifecycle_configuration": lambda values: len(values["rule"]) > 0,
}


ONLY_COPIES = (
    lake_layout.RAW_PREFIX,
    lake_layout.CURATED_PREFIX,
    lake_layout.PARKED_PREFIX,
    lake_layout.OVERSIZED_PREFIX,
    lake_layout.UNREADABLE_PREFIX,
    lake_layout.CHECKPOINT_PREFIX,
    lake_layout.FAILED_PREFIX,
    "aws/lambda/",
)
"""Where the only copy of a trade may lie, or of what it takes to go on."""


def nothing_that_may_be_the_only_copy_expires(resources: Resources) -> list[str]:
    """Let objects go by age only where others have the same, or with the tag that says so."""
    breaches = []
    for configuration in of_type(resources, "aws_s3_bucket_lifecycle_configuration"):
        for rule in configuration["values"]["rule"]:
            chosen = rule["filter"][0] if rule["filter"] else {}
            both = chosen.get("and") or [{}]
            prefix = both[0].get("prefix") or chosen.get("prefix") or ""
            days = [each["days"] for each in rule["expiration"] if each.get("days")]
            if not days or both[0].get("tags") == {TAG: VALUE}:
                continue
            breaches += [
                f"rule {rule['id']} of {configuration['address']} deletes {place}"
                for place in ONLY_COPIES
                if place.startswith(prefix) or prefix.startswith(place)
            ]
    return breaches


def every_function_has_a_log_group(resources: Resources) -> list[str]:
    groups = {
        group["values"]["name"]
        for group in of_type(resources, "aws_cloudwatch_log_group")
        if group["values"].get("retention_in_days", 0) > 0
    }
    return [
        f"{function['address']} has no log group with retention"
        for function in of_type(resources, "aws_lambda_function")
        if f"/aws/lambda/{function['values']['function_name']}" not in groups
    ]


def every_role_has_a_boundary(resources: Resources) -> list[str]:
    return [
        f"{role['address']} has no permissions boundary: who may write its policy could give it everything"
        for role in of_type(resources, "aws_iam_role")
        if not str(role["values"].get("permissions_boundary", "")).endswith("-boundary")
    ]


def every_network_endpoint_has_bounds(resources: Resources) -> list[str]:
    return [
        f"{endpoint['address']} lets tasks reach what belongs to others"
        for endpoint in of_type(resources, "aws_vpc_endpoint")
        if "*" in str([statement["Resource"] for statement in _statements_of(endpoint)]).replace("/*", "")
        or not _statements_of(endpoint)
    ]


def _statements_of(resource: Resource) -> list[dict[str, Any]]:
    return as_list(json.loads(resource["values"].get("policy", '{"Statement": []}'))["Statement"])


def every_function_has_its_alarms(resources: Resources) -> list[str]:
    watched = {
        (alarm["values"]["dimensions"]["FunctionName"], alarm["values"]["metric_name"])
        for alarm in of_type(resources, "aws_cloudwatch_metric_alarm")
        if "FunctionName" in alarm["values"].get("dimensions", {})
    }
    return [
        f"{function['address']} has no alarm on {metric}"
        for function in of_type(resources, "aws_lambda_function")
        for metric in ("Errors", "Throttles", "Duration")
        if (function["values"]["function_name"], metric) not in watched
    ]


def every_function_has_bounded_retries(resources: Resources) -> list[str]:
    problems = []
    for function in of_type(resources, "aws_lambda_function"):
        configs = beside(resources, function, "aws_lambda_function_event_invoke_config")
        if not any(config["values"].get("maximum_retry_attempts", 9) <= 2 for config in configs):
            problems.append(f"{function['address']} retries asynchronous events without a bound")
        for mapping in beside(resources, function, "aws_lambda_event_source_mapping"):
            values = mapping["values"]
            if not 0 <= values.get("maximum_retry_attempts", -1) <= 10:
                problems.append(f"{mapping['address']} retries without a bound")
            if not 60 <= values.get("maximum_record_age_in_seconds", -1) <= 86_400:
                problems.append(f"{mapping['address']} keeps records without a bound")
            if not values.get("destination_config", [{}])[0].get("on_failure"):
                problems.append(f"{mapping['address']} loses what it gives up")
    return problems


def every_queue_is_encrypted(resources: Resources) -> list[str]:
    problems = []
    for queue in of_type(resources, "aws_sqs_queue"):
        values = queue["values"]
        if not (values.get("sqs_managed_sse_enabled") or values.get("kms_master_key_id")):
            problems.append(f"{queue['address']} is not encrypted")
        policies = beside(resources, queue, "aws_sqs_queue_policy")
        if not any(_denies_without_tls(policy["values"]) for policy in policies):
            problems.append(f"{queue['address']} takes messages without TLS")
    return problems


def no_secret_has_a_value(resources: Resources) -> list[str]:
    kinds = ("aws_secretsmanager_secret_version", "aws_ssm_parameter", "aws_iam_access_key")
    problems = [f"{resource['address']} puts a secret into the state" for resource in of_type(resources, *kinds)]
    for resource in resources:
        for name in _names_of_environment(resource):
            if re.search(r"(?i)(secret|password|token|api_?key|credential)", name) and not name.endswith(
                "_SECRET_NAME"
            ):
                problems.append(f"{resource['address']} has {name} in its environment")
    return problems


def _names_of_environment(resource: Resource) -> list[str]:
    if resource["type"] == "aws_lambda_function":
        return list(resource["values"]["environment"][0]["variables"])
    if resource["type"] == "aws_ecs_task_definition" and "container_definitions" in resource["values"]:
        containers = json.loads(resource["values"]["container_definitions"])
        return [entry["name"] for container in containers for entry in container.get("environment", [])]
    return []


def nobody_drops_a_table_of_terraform(resources: Resources) -> list[str]:
    """Whoever may drop tables of the database is denied those that a plan would make again, without partitions."""
    tables = {resource["values"]["name"] for resource in of_type(resources, "aws_glue_catalog_table")}
    breaches = []
    for resource in of_type(resources, "aws_iam_role_policy"):
        of_tables = [each for each in _statements_of(resource) if "glue:DeleteTable" in as_list(each.get("Action", []))]
        denied = {
            arn.rpartition("/")[2]
            for each in of_tables
            if each["Effect"] == "Deny"
            for arn in as_list(each["Resource"])
        }
        if any(each["Effect"] == "Allow" for each in of_tables):
            breaches += [f"{resource['address']} may drop the table {table}" for table in sorted(tables - denied)]
    return breaches


RULES: tuple[Rule, ...] = (
    every_policy_is_known,
    no_wildcard_actions,
    no_wildcard_principals,
    every_resource_is_named,
    every_bucket_has_its_companions,
    nothing_that_may_be_the_only_copy_expires,
    every_function_has_a_log_group,
    every_role_has_a_boundary,
    every_network_endpoint_has_bounds,
    every_function_has_its_alarms,
    every_function_has_bounded_retries,
    every_queue_is_encrypted,
    no_secret_has_a_value,
    nobody_drops_a_table_of_terraform,
)
