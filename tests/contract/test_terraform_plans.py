"""What Terraform plans for dev and prod follows the rules, each of which has been shown to fail.

The plans are files (`make plans`). The first test fails if they are older than the configuration.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import terraform_rules as rules
from tests.support.plans import ENVIRONMENTS, load_plan, values_of
from tests.support.scripts import load_script


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_plans_were_made_from_this_configuration(environment: str) -> None:
    plans = load_script("infra/plans.py")
    assert load_plan(environment)["sources_sha256"] == plans.sources_sha256(), "run make plans"


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_plan_keeps_to(rule: rules.Rule, resources: list[rules.Resource]) -> None:
    assert rule(resources) == []


def change(resources: list[rules.Resource], kind: str, edit: Callable[[dict[str, Any]], None], at: int = 0) -> None:
    edit(list(rules.of_type(resources, kind))[at]["values"])


def remove(kind: str, module: str = "") -> Callable[[list[rules.Resource]], None]:
    def mutate(resources: list[rules.Resource]) -> None:
        found = (found for found in rules.of_type(resources, kind) if found["address"].startswith(module))
        resources.remove(next(found))

    return mutate


def setting(kind: str, **values: Any) -> Callable[[list[rules.Resource]], None]:
    return lambda resources: change(resources, kind, lambda held: held.update(values))


def allowing(kind: str, **parts: Any) -> Callable[[list[rules.Resource]], None]:
    """A policy with one more statement that allows too much."""

    def edit(values: dict[str, Any]) -> None:
        policy = json.loads(values["policy"])
        policy["Statement"].append({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:x", **parts})
        values["policy"] = json.dumps(policy)

    return lambda resources: change(resources, kind, edit)


def without_denials(kind: str) -> Callable[[list[rules.Resource]], None]:
    def edit(values: dict[str, Any]) -> None:
        policy = json.loads(values["policy"])
        policy["Statement"] = [statement for statement in policy["Statement"] if statement["Effect"] != "Deny"]
        values["policy"] = json.dumps(policy)

    return lambda resources: change(resources, kind, edit)


def with_variable(name: str) -> Callable[[list[rules.Resource]], None]:
    return lambda resources: change(
        resources, "aws_lambda_function", lambda values: values["environment"][0]["variables"].update({name: "x"})
    )


def expiring(chosen: dict[str, Any]) -> Callable[[list[rules.Resource]], None]:
    """One more rule, which deletes what is chosen after a year."""
    rule = {"id": "more", "filter": [chosen], "expiration": [{"days": 365}]}
    return lambda resources: change(
        resources, "aws_s3_bucket_lifecycle_configuration", lambda values: values["rule"].append(rule)
    )


MUTATIONS: tuple[tuple[rules.Rule, Callable[[list[rules.Resource]], None]], ...] = (
    (
        rules.every_policy_is_known,
        lambda resources: change(resources, "aws_iam_role_policy", lambda values: values.pop("policy")),
    ),
    (rules.no_wildcard_actions, allowing("aws_iam_role_policy", Action="*")),
    (rules.no_wildcard_actions, allowing("aws_iam_role_policy", Action=["s3:GetObject", "s3:Put*"])),
    (rules.no_wildcard_principals, allowing("aws_s3_bucket_policy", Principal="*")),
    (rules.no_wildcard_principals, allowing("aws_sqs_queue_policy", Principal={"AWS": "*"})),
    (rules.every_resource_is_named, allowing("aws_iam_role_policy", Resource="*")),
    (rules.every_resource_is_named, allowing("aws_iam_role_policy", Resource=["arn:x", "*"])),
    *((rules.every_bucket_has_its_companions, remove(kind)) for kind in rules.COMPANIONS),
    (
        rules.every_bucket_has_its_companions,
        setting("aws_s3_bucket_public_access_block", restrict_public_buckets=False),
    ),
    (
        rules.every_bucket_has_its_companions,
        setting("aws_s3_bucket_versioning", versioning_configuration=[{"status": "Suspended"}]),
    ),
    (rules.every_bucket_has_its_companions, without_denials("aws_s3_bucket_policy")),
    *(
        (rules.nothing_that_may_be_the_only_copy_expires, expiring(chosen))
        for chosen in (
            {"prefix": "raw/"},
            {"prefix": ""},
            {"and": [{"prefix": "raw/trades/", "tags": {"compacted": "false"}}]},
            {"prefix": "quarantine/"},
            {"prefix": "quarantine/parked/2026"},
            {"prefix": "failed/"},
        )
    ),
    (rules.every_function_has_a_log_group, remove("aws_cloudwatch_log_group", "module.processor.")),
    (
        rules.every_function_has_a_log_group,
        lambda resources: values_of(resources, "module.processor.aws_cloudwatch_log_group.this").update(
            retention_in_days=0
        ),
    ),
    (
        rules.every_function_has_its_alarms,
        lambda resources: resources.remove(
            next(r for r in resources if r["address"].endswith('this["processor-errors"]'))
        ),
    ),
    (
        rules.every_role_has_a_boundary,
        lambda resources: change(resources, "aws_iam_role", lambda values: values.pop("permissions_boundary")),
    ),
    (
        rules.every_network_endpoint_has_bounds,
        lambda resources: resources.append({"address": "x", "type": "aws_vpc_endpoint", "values": {}}),
    ),
    (
        rules.every_network_endpoint_has_bounds,
        lambda resources: resources.append(
            {
                "address": "x",
                "type": "aws_vpc_endpoint",
                "values": {"policy": json.dumps({"Statement": [{"Effect": "Allow", "Resource": "*"}]})},
            }
        ),
    ),
    (rules.every_function_has_bounded_retries, remove("aws_lambda_function_event_invoke_config")),
    (
        rules.every_function_has_bounded_retries,
        setting("aws_lambda_event_source_mapping", maximum_retry_attempts=-1),
    ),
    (
        rules.every_function_has_bounded_retries,
        setting("aws_lambda_event_source_mapping", maximum_record_age_in_seconds=-1),
    ),
    (
        rules.every_function_has_bounded_retries,
        setting("aws_lambda_event_source_mapping", destination_config=[{}]),
    ),
    (
        rules.nobody_drops_a_table_of_terraform,
        allowing("aws_iam_role_policy", Action=["glue:DeleteTable"], Resource=["arn:stub:glue:us-east-1:stub:table/*"]),
    ),
    (rules.every_queue_is_encrypted, setting("aws_sqs_queue", sqs_managed_sse_enabled=False)),
    (rules.every_queue_is_encrypted, without_denials("aws_sqs_queue_policy")),
    (rules.no_secret_has_a_value, with_variable("ALPACA_API_KEY")),
    (
        rules.no_secret_has_a_value,
        lambda resources: resources.append(
            {"address": "x", "type": "aws_secretsmanager_secret_version", "values": {"secret_string": "x"}}
        ),
    ),
)


@pytest.mark.parametrize(
    ("rule", "mutate"), MUTATIONS, ids=[f"{rule.__name__}-{place}" for place, (rule, _) in enumerate(MUTATIONS)]
)
def test_a_plan_that_breaks_a_rule_is_found(
    rule: rules.Rule, mutate: Callable[[list[rules.Resource]], None], resources: list[rules.Resource]
) -> None:
    broken = copy.deepcopy(resources)
    mutate(broken)
    assert rule(broken)


def test_every_rule_has_been_shown_to_fail() -> None:
    assert {rule for rule, _ in MUTATIONS} == set(rules.RULES)
