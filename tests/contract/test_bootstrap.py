"""GitHub's roles can do what their job takes, in their environment, and no more; nothing goes beyond its boundary."""

import fnmatch
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import terraform_rules as rules
from tests.support.permissions.policy import Request, applies
from tests.support.provider_calls import CALLS, UNTAGGED, Ask, asked

ROOT = Path(__file__).parents[2]
PLANS = ROOT / "tests/data/terraform"
ENVIRONMENTS = ("dev", "prod")
OTHER = {"dev": "prod", "prod": "dev"}
KEYS = "arn:aws:kms:us-east-1:123456789012:key"
JOBS = ("image", "plan", "apply", "smoke")

DATA = (
    Ask(
        "secretsmanager:GetSecretValue",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:stock-pipeline/{0}/provider-AbCdEf",
    ),
    Ask("s3:GetObject", "arn:aws:s3:::stock-historical-data-{0}/raw/trades/x"),
    Ask("kinesis:GetRecords", "arn:aws:kinesis:us-east-1:123456789012:stream/{1}"),
    Ask("dynamodb:Scan", "arn:aws:dynamodb:us-east-1:123456789012:table/{2}"),
    Ask("dynamodb:BatchGetItem", "arn:aws:dynamodb:us-east-1:123456789012:table/{2}"),
    Ask("dynamodb:PartiQLSelect", "arn:aws:dynamodb:us-east-1:123456789012:table/{2}"),
    Ask("sqs:ReceiveMessage", "arn:aws:sqs:us-east-1:123456789012:stock-pipeline-{0}-dead-letter"),
    Ask(
        "logs:FilterLogEvents", "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/stock-pipeline-{0}-producer"
    ),
    Ask("logs:StartQuery", "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/stock-pipeline-{0}-producer"),
    Ask("ssm:GetParameter", "arn:aws:ssm:us-east-1:123456789012:parameter/x"),
    Ask("rds:DownloadDBLogFilePortion", "arn:aws:rds:us-east-1:123456789012:db:stock-pipeline-{0}-dagster"),
    Ask("athena:StartQueryExecution", "arn:aws:athena:us-east-1:123456789012:workgroup/stock-pipeline-{0}"),
)
"""Reading data. The fields: environment, stream, table."""

DELETIONS = (
    Ask("s3:DeleteObject", "arn:aws:s3:::stock-historical-data-{0}/raw/trades/x"),
    Ask("s3:DeleteObjectVersion", "arn:aws:s3:::stock-historical-data-{0}/raw/trades/x"),
    Ask("s3:DeleteBucket", "arn:aws:s3:::stock-historical-data-{0}"),
    Ask("dynamodb:DeleteTable", "arn:aws:dynamodb:us-east-1:123456789012:table/{2}"),
    Ask("kinesis:DeleteStream", "arn:aws:kinesis:us-east-1:123456789012:stream/{1}"),
    Ask("rds:DeleteDBInstance", "arn:aws:rds:us-east-1:123456789012:db:stock-pipeline-{0}-dagster"),
    Ask("kms:ScheduleKeyDeletion", "arn:aws:kms:us-east-1:123456789012:key/0000"),
    Ask(
        "secretsmanager:DeleteSecret",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:stock-pipeline/{0}/provider-AbCdEf",
    ),
)


def load(name: str) -> dict[str, Any]:
    # whatever partition and account the plan was made in
    text = re.sub(
        r"arn:\w+:([\w-]+):([\w-]*):\w+:", r"arn:aws:\1:\2:123456789012:", (PLANS / f"{name}.json").read_text()
    )
    document: dict[str, Any] = json.loads(re.sub(r"arn:\w+:s3:", "arn:aws:s3:", text))
    return document


BOOTSTRAP = load("bootstrap")["resources"]


def of(environment: str, asks: tuple[Ask, ...]) -> Iterator[Ask]:
    suffix = "" if environment == "dev" else "-prod"
    for ask in asks:
        yield Ask(ask.action, ask.resource.format(environment, f"stock-stream{suffix}", f"stock-realtime{suffix}"))


def statements_of(environment: str, job: str) -> list[dict[str, Any]]:
    """Return all statements of a role of GitHub's."""
    found = [
        json.loads(policy["values"]["policy"])["Statement"]
        for policy in rules.of_type(BOOTSTRAP, "aws_iam_policy")
        if f'github["{environment}-{job}-' in policy["address"]
    ]
    return [statement for statements in found for statement in statements]


def boundary_of(environment: str) -> list[dict[str, Any]]:
    (policy,) = [
        policy["values"]["policy"]
        for policy in rules.of_type(BOOTSTRAP, "aws_iam_policy")
        if policy["address"] == f'aws_iam_policy.boundary["{environment}"]'
    ]
    statements: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return statements


def matches(patterns: Any, value: str) -> bool:
    return any(fnmatch.fnmatchcase(value, pattern.replace("[", "[[]")) for pattern in rules.as_list(patterns))


def allows(statements: list[dict[str, Any]], ask: Ask) -> bool:
    """Say whether a statement allows it. Conditions count as met: what they say is tested by name."""
    assert all(statement["Effect"] == "Allow" for statement in statements)
    return any(
        matches(statement["Action"], ask.action) and matches(statement["Resource"], ask.resource)
        for statement in statements
    )


def test_the_plan_was_made_from_this_bootstrap() -> None:
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((ROOT / "bootstrap").glob("*.tf"))))
    assert load("bootstrap")["sources_sha256"] == digest.hexdigest(), "run make plans"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("job", JOBS)
def test_a_role_is_taken_by_one_environment_on_main_only(environment: str, job: str) -> None:
    (role,) = [r for r in BOOTSTRAP if r["address"] == f'aws_iam_role.github["{environment}-{job}"]']
    (statement,) = json.loads(role["values"]["assume_role_policy"])["Statement"]
    part = "-plan" if job in ("image", "plan") else ""
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": f"repo:owner/name:environment:{environment}{part}"
            ":ref:refs/heads/main",
        }
    }


def test_no_role_has_a_policy_of_awss() -> None:
    attached = list(rules.of_type(BOOTSTRAP, "aws_iam_role_policy_attachment"))
    assert attached
    assert not [entry for entry in attached if "policy_arn" in entry["values"]]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_kind_of_planned_resource_is_known(environment: str) -> None:
    assert {resource["type"] for resource in load(environment)["resources"]} <= set(CALLS)


def test_what_gets_the_default_tags_is_asked_for_them() -> None:
    """A service that makes something with tags asks for the right to tag it, too."""
    assert {
        kind for kind, calls in CALLS.items() if not re.search(r":\w*Tag(s|Resource|Role|Queue|\w+)", calls.make)
    } == (UNTAGGED)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(("job", "make"), [("plan", False), ("apply", False), ("apply", True)])
def test_a_role_can_read_and_make_what_is_planned(environment: str, job: str, make: bool) -> None:
    statements = statements_of(environment, job)
    refused = {
        ask
        for resource in load(environment)["resources"]
        for ask in asked(resource, environment, make)
        if not allows(statements, ask)
    }
    assert refused == set()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(("job", "make"), [("plan", False), ("apply", True)])
def test_a_role_can_read_and_make_the_page_that_no_environment_has_as_shipped(
    environment: str, job: str, make: bool
) -> None:
    values = {"name": f"stock-pipeline-{environment}-page"}
    planned = [{"type": kind, "values": values} for kind in ("aws_lb", "aws_lb_listener", "aws_lb_target_group")]
    statements = statements_of(environment, job)
    asks = {ask for resource in planned for ask in asked(resource, environment, make)}
    assert {ask for ask in asks if not allows(statements, ask)} == set()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_plan_reads_no_data_and_changes_nothing(environment: str) -> None:
    statements = statements_of(environment, "plan")
    assert [ask for ask in of(environment, DATA) if allows(statements, ask)] == []
    verbs = {action.partition(":")[2] for statement in statements for action in rules.as_list(statement["Action"])}
    changing = {verb for verb in verbs if not re.match(r"Get|List|Describe|View", verb)}
    # its own plan, and what Lambda and S3 decrypt for it
    assert changing == {"PutObject", "Decrypt"}
    written = [statement for statement in statements if "s3:PutObject" in statement["Action"]]
    assert [statement["Resource"] for statement in written] == [[f"arn:aws:s3:::example-state/plans/{environment}/*"]]
    (decrypting,) = [statement for statement in statements if "kms:Decrypt" in statement["Action"]]
    assert set(decrypting["Condition"]) == {"StringEquals", "StringLike"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_apply_deletes_nothing_that_holds_data(environment: str) -> None:
    statements = statements_of(environment, "apply")
    assert [ask for ask in of(environment, DELETIONS) if allows(statements, ask)] == []
    assert [ask for ask in of(environment, DATA) if allows(statements, ask)] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("job", JOBS)
def test_no_role_reaches_another_environment(environment: str, job: str) -> None:
    statements = [each for each in statements_of(environment, job) if each["Resource"] != "*"]
    other = load(OTHER[environment])["resources"]
    reached = {
        ask
        for resource in other
        for make in (False, True)
        for ask in asked(resource, OTHER[environment], make)
        # a key and a mapping have no name: the tags that they are made with decide, which the statement demands
        if ask.resource != "*" and not ask.resource.endswith(":0000") and not ask.resource.endswith("/0000")
        if allows(statements, ask)
    }
    assert reached == set()
    assert not allows(
        statements, Ask("s3:GetObject", f"arn:aws:s3:::example-state/stock-pipeline/{OTHER[environment]}.tfstate")
    )
    for statement in statements:
        if any(str(resource).endswith(":key/*") for resource in rules.as_list(statement["Resource"])):
            assert statement["Condition"]["StringEquals"]["aws:ResourceTag/Environment"] == environment


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(("of_whom", "takes"), [("nobody", True), ("own", True), ("other", False)])
@pytest.mark.parametrize(
    ("action", "resource"), [("kms:TagResource", "key/0000"), ("lambda:TagResource", "event-source-mapping:0000")]
)
def test_an_apply_takes_nothing_of_another_environment_by_tagging_it(
    environment: str, of_whom: str, takes: bool, action: str, resource: str
) -> None:
    """Rights on a key go by its tags: who could change those had the key, and with its policy all that it encrypts."""
    owners = {"nobody": None, "own": environment, "other": OTHER[environment]}
    context = {"aws:requesttag/project": ["stock-pipeline"], "aws:requesttag/environment": [environment]}
    if owner := owners[of_whom]:
        context |= {"aws:resourcetag/project": ["stock-pipeline"], "aws:resourcetag/environment": [owner]}
    arn = f"arn:aws:{action.partition(':')[0]}:us-east-1:123456789012:{resource}"
    request = Request(f"arn:aws:iam::123456789012:role/stock-pipeline-github-{environment}-apply", action, arn, context)
    assert any(applies(statement, request) for statement in statements_of(environment, "apply")) is takes


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("job", ["plan", "apply"])
@pytest.mark.parametrize("service", ["s3", "lambda", "scheduler"])
def test_a_role_reads_settings_that_the_environments_key_encrypts(environment: str, job: str, service: str) -> None:
    """Of packages, functions and schedules: each service asks the key with the rights of who asks it."""
    context = {
        "aws:resourcetag/project": ["stock-pipeline"],
        "aws:resourcetag/environment": [environment],
        "kms:viaservice": [f"{service}.us-east-1.amazonaws.com"],
    }
    request = Request("arn:aws:iam::123456789012:role/x", "kms:Decrypt", f"{KEYS}/0000", context)
    assert any(applies(statement, request) for statement in statements_of(environment, job))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_apply_makes_no_role_without_the_boundary(environment: str) -> None:
    wanted = f"arn:aws:iam::123456789012:policy/stock-pipeline-{environment}-boundary"
    granting = [
        statement
        for statement in statements_of(environment, "apply")
        if any(
            matches(statement["Action"], f"iam:{verb}") for verb in ("CreateRole", "PutRolePolicy", "AttachRolePolicy")
        )
    ]
    assert granting
    for statement in granting:
        assert statement["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": wanted}}
    for verb in ("DeleteRolePermissionsBoundary", "AttachRolePolicy", "CreatePolicyVersion", "CreateUser"):
        assert not allows(
            statements_of(environment, "apply"),
            Ask(f"iam:{verb}", f"arn:aws:iam::123456789012:role/stock-pipeline-{environment}-x"),
        )
        assert not allows(statements_of(environment, "apply"), Ask(f"iam:{verb}", wanted))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_boundary_covers_what_roles_are_allowed(environment: str) -> None:
    boundary = boundary_of(environment)
    missing = {
        Ask(action, resource)
        for policy in rules.of_type(load(environment)["resources"], "aws_iam_role_policy")
        for statement in json.loads(policy["values"]["policy"])["Statement"]
        if statement["Effect"] == "Allow"
        for action in rules.as_list(statement["Action"])
        for resource in rules.as_list(statement["Resource"])
        if not allows(boundary, Ask(action, resource))
    }
    assert missing == set()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_boundary_keeps_roles_from_administration(environment: str) -> None:
    boundary = boundary_of(environment)
    for action in (
        "iam:CreateUser",
        "iam:PutRolePolicy",
        "sts:AssumeRole",
        "s3:PutBucketPolicy",
        "kms:ScheduleKeyDeletion",
        "ec2:RunInstances",
    ):
        for resource in (
            "*",
            "arn:aws:iam::123456789012:role/admin",
            f"arn:aws:s3:::stock-historical-data-{environment}",
        ):
            assert not allows(boundary, Ask(action, resource))
    assert not [ask for ask in of(OTHER[environment], DATA) if allows(boundary, ask)]


def test_a_policy_has_at_most_6144_characters() -> None:
    for policy in rules.of_type(BOOTSTRAP, "aws_iam_policy"):
        assert len(re.sub(r"\s", "", policy["values"]["policy"])) <= 6144, policy["address"]
