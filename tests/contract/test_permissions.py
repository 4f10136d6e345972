"""What code calls in an account is allowed to its role, and no role may do what nobody calls.

The calls are recorded while the tests run (tests/data/aws_calls.txt); the policies are those of the plans. Add to
them what services and libraries call themselves. docs/deploy.md says how to read a failure.
"""

import ast
import copy
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from tests.support.permissions.account import Account
from tests.support.permissions.api_calls import Call, asked
from tests.support.permissions.libraries import LIBRARIES, Library
from tests.support.permissions.owners import LAPTOP, PERSON, UNKNOWN, roles_of
from tests.support.permissions.recording import in_an_account, recorded_calls
from tests.support.permissions.verdict import (
    Grant,
    denied,
    everything_needed,
    granted_twice,
    unused,
    without_exceptions,
)
from tests.support.plans import load_plan

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("dev", "prod")

GRANTED_WITHOUT_A_CALL = {
    (
        "dagster-work",
        "glue:GetDatabases",
        "/*",
    ): "one statement names catalog, database and tables for all of Glue's actions",
}
"""Reasons of grants that no recorded, implied or library's call needs, by role, action and end of the resource."""

NEVER_CALLED_IN_A_TEST = {
    "stop_query_execution": "on Ctrl-C; dbt's adapter needs the same right",
    "abort_multipart_upload": "of an upload that fails; each upload in parts is taken to need it",
    "create_secret": "on a local stack only",
}
"""Client methods of the package that no test calls in a role of the pipeline, with the reason."""


def account(environment: str) -> Account:
    return Account(load_plan(environment), load_plan("bootstrap")["resources"])


def problems(of: Account) -> list[str]:
    return denied(of, everything_needed(of, in_an_account(recorded_calls())))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nothing_that_is_called_is_denied(environment: str) -> None:
    assert problems(account(environment)) == []


def test_nothing_is_granted_that_nobody_calls() -> None:
    found: set[Grant] = set()
    for environment in ENVIRONMENTS:
        of = account(environment)
        found |= unused(of, everything_needed(of, in_an_account(recorded_calls())))
    without, stale = without_exceptions(found, GRANTED_WITHOUT_A_CALL)
    assert without == [], "no call needs these grants: take them away, or give a reason in GRANTED_WITHOUT_A_CALL"
    assert stale == [], "these exceptions excuse nothing any more"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nothing_is_granted_twice(environment: str) -> None:
    assert granted_twice(account(environment)) == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_policy_belongs_to_a_role_of_the_plan(environment: str) -> None:
    assert account(environment).policies_without_role() == []


def takers(of: Account) -> Iterator[tuple[str, str, dict[str, list[str]]]]:
    """Yield role, service, and what the service says of itself when it takes the role.

    IAM/latest/UserGuide/confused-deputy.html; ECS: AmazonECS/latest/developerguide/task-iam-roles.html; Scheduler
    names the group: scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    account_id = [of.partition_and_account[2]]
    for role in of.identities:
        if role.startswith("dagster-"):
            source = of.arn("ecs", f"task/{of.name}-dagster/0123456789abcdef")
            yield role, "ecs-tasks.amazonaws.com", {"aws:sourceaccount": account_id, "aws:sourcearn": [source]}
        elif role == "scheduler":
            source = of.arn("scheduler", f"schedule-group/{of.name}")
            yield role, "scheduler.amazonaws.com", {"aws:sourceaccount": account_id, "aws:sourcearn": [source]}
        else:
            # Lambda says nothing when it takes a role: lambda/latest/dg/lambda-intro-execution-role.html
            yield role, "lambda.amazonaws.com", {}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_role_can_be_taken_by_its_service_only(environment: str) -> None:
    of = account(environment)
    for role, service, context in takers(of):
        assert of.may_be_taken_by(role, service, context), role
        assert not of.may_be_taken_by(role, "ec2.amazonaws.com", context), role
        if context:
            assert not of.may_be_taken_by(role, service, {**context, "aws:sourceaccount": ["another"]}), role


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_role_that_calls_is_one_of_the_plan(environment: str) -> None:
    there = set(account(environment).identities)
    missing = {call.role for call in in_an_account(recorded_calls())} - there
    assert {role for role in missing if environment == "prod" or not role.startswith("dagster-")} == set()


def test_no_call_is_of_an_unknown_package() -> None:
    assert [call for call in recorded_calls() if call.role.startswith(UNKNOWN)] == []


def test_every_client_method_of_the_package_is_called_in_a_test() -> None:
    actions = {call.action.partition(":")[2] for call in recorded_calls()}
    made = {xform_name(operation) for operation in operations() if _actions_of(operation) & actions}
    missing = {
        f"{path.relative_to(ROOT)} calls {method}"
        for path, method in client_methods()
        if method not in made and method not in NEVER_CALLED_IN_A_TEST
    }
    assert missing == set(), "no test makes these calls, so no policy was held against them"


def client_methods() -> Iterator[tuple[Path, str]]:
    """Yield the methods of AWS's clients that the package names: calls on what is called a client, and paginators."""
    names = {xform_name(operation) for operation in operations()}
    for path in sorted((ROOT / "stock_pipeline").rglob("*.py")):
        if "local" in path.relative_to(ROOT).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr == "get_paginator" and isinstance(node.args[0], ast.Constant):
                yield path, str(node.args[0].value)
            elif node.func.attr in names and ast.unparse(node.func.value).rpartition(".")[2] in _CLIENTS:
                yield path, node.func.attr


_CLIENTS = frozenset(
    {"client", "s3", "glue", "sqs", "sns", "kinesis", "dynamodb", "secretsmanager", "cloudwatch", "logs", "ecs"}
)


@cache
def operations() -> dict[str, str]:
    """Return the service by operation, of services that the package uses."""
    session = botocore.session.get_session()
    return {
        operation: service
        for service in ("s3", "glue", "sqs", "sns", "kinesis", "dynamodb", "athena", "secretsmanager", "cloudwatch")
        for operation in session.get_service_model(service).operation_names
    }


def _actions_of(operation: str) -> set[str]:
    """Return the actions that an operation may be recorded as, without their service."""
    parameters: dict[str, Any] = {"Key": "x", "QueryString": "", "CopySource": "/x/y", "Tagging": {"TagSet": []}}
    if operation == "DeleteObjects":
        return {"DeleteObject"}
    service = operations()[operation]
    return {action.partition(":")[2] for action, _, _ in asked(service, operation, parameters)}


# The judges have to see what they are for: each change below is one that AWS would answer with AccessDenied.

Change = Callable[[list[dict[str, Any]]], object]


def policy_of(resources: list[dict[str, Any]], address: str, edit: Callable[[list[dict[str, Any]]], object]) -> None:
    (values,) = [resource["values"] for resource in resources if resource["address"] == address]
    policy = json.loads(values["policy"])
    edit(policy["Statement"])
    values["policy"] = json.dumps(policy)


def without(address: str, sid: str) -> Change:
    """The plan without one statement of a policy."""

    def edit(statements: list[dict[str, Any]]) -> None:
        (found,) = [statement for statement in statements if statement.get("Sid") == sid]
        statements.remove(found)

    return lambda resources: policy_of(resources, address, edit)


def with_denial(address: str, action: str, resource: str) -> Change:
    denial = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource}
    return lambda resources: policy_of(resources, address, lambda statements: statements.append(denial))


def without_alias(resources: list[dict[str, Any]]) -> None:
    resources.remove(next(resource for resource in resources if resource["type"] == "aws_kms_alias"))


def of_another_account(resources: list[dict[str, Any]]) -> None:
    def edit(statements: list[dict[str, Any]]) -> None:
        statements[-1]["Condition"] = {"StringEquals": {"aws:SourceAccount": "another"}}

    policy_of(resources, "module.dlq.aws_sqs_queue_policy.this", edit)


CHANGES: dict[str, tuple[Change, str]] = {
    "a function that may not use the key": (
        without("module.producer.aws_iam_role_policy.this", "UseKey"),
        "producer may not kms:GenerateDataKey",
    ),
    "a condition on an alias that no key has": (without_alias, "processor may not kms:Decrypt"),
    "a function that may not log": (
        without("module.redrive.aws_iam_role_policy.this", "WriteLogs"),
        "redrive may not logs:PutLogEvents",
    ),
    "a mapping that may not keep what it gives up": (
        without("module.processor.aws_iam_role_policy.this", "WriteFailedBatches"),
        "processor may not s3:PutObject on arn:stub:s3:::stock-historical-data-prod/aws/lambda/",
    ),
    "a missing object that would be forbidden": (
        without("module.producer.aws_iam_role_policy.this", "ListBucket"),
        "producer may not s3:ListBucket",
    ),
    "alarms that the topic does not take": (
        without("module.observability.aws_sns_topic_policy.this", "AllowAlarmsAndBudget"),
        "cloudwatch.amazonaws.com may not sns:Publish",
    ),
    "alarms that the topic's key does not take": (
        without("aws_kms_key.data[0]", "AllowAlarmsAndBudget"),
        "cloudwatch.amazonaws.com may not kms:GenerateDataKey",
    ),
    "log groups whose key does not let them": (
        without("aws_kms_key.data[0]", "AllowLogGroups"),
        "logs.us-east-1.amazonaws.com may not kms:Encrypt",
    ),
    "a key that leaves nothing to the account": (
        without("aws_kms_key.data[0]", "AllowTheAccountToGrantUse"),
        "processor may not kms:Decrypt",
    ),
    "a queue that refuses the bucket": (
        of_another_account,
        "s3.amazonaws.com may not sqs:SendMessage",
    ),
    "an endpoint that lets nobody through to the lake": (
        without('module.dagster[0].aws_vpc_endpoint.direct["s3"]', "OwnData"),
        "dagster-work may not s3:GetObject on arn:stub:s3:::stock-historical-data-prod/raw/trades/",
    ),
    "a webserver that may not read the logs' key": (
        without('module.dagster[0].aws_iam_role_policy.task["control"]', "ReadWithKey"),
        "dagster-control may not kms:Decrypt",
    ),
    "tasks that may not log in to their database": (
        without('module.dagster[0].aws_iam_role_policy.task["work"]', "LogInToTheDatabase"),
        "dagster-work may not rds-db:connect",
    ),
    "a bucket that denies its own writers": (
        with_denial(
            "module.lake.aws_s3_bucket_policy.this", "s3:PutObject", "arn:stub:s3:::stock-historical-data-prod/*"
        ),
        "processor may not s3:PutObject",
    ),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_a_plan_that_denies_a_call_is_found(change: Change, expected: str) -> None:
    plan = copy.deepcopy(dict(account("prod").plan))
    change(plan["resources"])
    assert any(expected in problem for problem in problems(Account(plan)))


def test_a_boundary_that_cuts_a_call_off_is_found() -> None:
    bootstrap = copy.deepcopy(load_plan("bootstrap")["resources"])
    without('aws_iam_policy.boundary["prod"]', "OwnTasks")(bootstrap)
    found = problems(Account(load_plan("prod"), bootstrap))
    assert any(problem.startswith("dagster-control may not ecs:RunTask") for problem in found)


def test_schedules_whose_role_may_not_decrypt_are_found() -> None:
    plan = json.loads((ROOT / "tests/data/schedules_without_their_key.json").read_text())
    found = [
        problem for problem in problems(Account(plan)) if "is encrypted with the key, and its role reads it" in problem
    ]
    assert [problem.split(" on ")[0] for problem in found] == ["scheduler may not kms:Decrypt"] * 2


def test_a_grant_that_nobody_needs_is_found() -> None:
    plan = copy.deepcopy(dict(account("prod").plan))
    more = {
        "Effect": "Allow",
        "Action": ["dynamodb:DeleteTable"],
        "Resource": ["arn:stub:dynamodb:us-east-1:stub:table/x"],
    }
    policy_of(
        plan["resources"], "module.processor.aws_iam_role_policy.this", lambda statements: statements.append(more)
    )
    of = Account(plan)
    found = {str(grant) for grant in unused(of, everything_needed(of, in_an_account(recorded_calls())))}
    assert "processor may dynamodb:DeleteTable on arn:stub:dynamodb:us-east-1:stub:table/x" in found


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: f"{library.distribution}-{library.roles[0]}")
def test_a_library_calls_what_is_written_of_it(library: Library) -> None:
    assert library.named() == {*library.calls, *library.never}


@pytest.mark.parametrize(
    ("modules", "role"),
    [
        (["tests.x", "lambdas.producer.app", "stock_pipeline.wiring", "stock_pipeline.aws.secrets"], "producer"),
        (["stock_pipeline.commands.demo", "stock_pipeline.local.demo.demo", "lambdas.processor.app"], "processor"),
        (["stock_pipeline.commands.compact", "stock_pipeline.lake.compaction"], PERSON),
        (["stock_pipeline.commands.stream", "stock_pipeline.streaming.publisher"], "dagster-produce"),
        (["stock_pipeline.orchestration.lake_assets", "stock_pipeline.redrive.redrive"], "dagster-work"),
        (["tests.x", "stock_pipeline.lake.compaction", "stock_pipeline.aws.object_store"], "dagster-work"),
        (["tests.x", "stock_pipeline.local.event_source.poller"], LAPTOP),
        (["stock_pipeline.orchestration.dbt_process", "stock_pipeline.local.duckdb.catalog"], LAPTOP),
        (["stock_pipeline.commands.serve", "stock_pipeline.local.duckdb.query"], LAPTOP),
        (["tests.x", "stock_pipeline.new_package.module"], f"{UNKNOWN}:stock_pipeline.new_package.module"),
    ],
)
def test_a_call_belongs_to_its_entrypoint(modules: list[str], role: str) -> None:
    assert roles_of(modules)[0] == role


def test_a_line_of_the_list_reads_as_it_was_written() -> None:
    for call in recorded_calls():
        assert Call.of(call.line()) == call
