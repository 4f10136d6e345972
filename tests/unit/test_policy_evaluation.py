"""The evaluator of policies against the documented logic.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html,
reference_policies_elements_condition_operators.html, reference_policies_elements_resource.html and
reference_policies_variables.html; keys: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
"""

from typing import Any

import pytest

from tests.support.permissions.policy import Policies, Request, UnknownElementError, allowed, matches

ROLE = "arn:aws:iam::111122223333:role/reader"
ROOT = "arn:aws:iam::111122223333:root"
OBJECT = "arn:aws:s3:::lake/raw/file"


def allow(**parts: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/*", **parts}


def deny(**parts: Any) -> dict[str, Any]:
    return {**allow(**parts), "Effect": "Deny"}


def all_but(action: str) -> dict[str, Any]:
    return {"Effect": "Allow", "NotAction": action, "Resource": "arn:aws:s3:::lake/*"}


def asks(policies: Policies, principal: str = ROLE, resource: str = OBJECT, **context: Any) -> bool:
    values = {key.replace("__", ":"): value for key, value in context.items()}
    return allowed(Request(principal, "s3:GetObject", resource, values), policies)


TO_ROLE = {"Principal": {"AWS": ROLE}}

DECISIONS: tuple[tuple[str, Policies, bool], ...] = (
    ("nothing says anything", Policies(), False),
    ("the identity's policy allows", Policies(identity=[allow()]), True),
    ("the resource's policy allows", Policies(resource=[allow(**TO_ROLE)]), True),
    ("the resource's policy allows another", Policies(resource=[allow(Principal={"AWS": f"{ROLE}2"})]), False),
    ("the resource's policy allows the account", Policies(resource=[allow(Principal={"AWS": ROOT})]), True),
    ("the resource's policy allows anybody", Policies(resource=[allow(Principal="*")]), True),
    ("the identity's policy denies", Policies(identity=[allow(), deny()]), False),
    ("the resource's policy denies anybody", Policies(identity=[allow()], resource=[deny(Principal="*")]), False),
    ("it denies all but this one", Policies(identity=[allow()], resource=[deny(NotPrincipal={"AWS": ROLE})]), True),
    ("the boundary allows", Policies(identity=[allow()], boundary=[allow()]), True),
    ("the boundary is silent", Policies(identity=[allow()], boundary=[]), False),
    ("the boundary denies", Policies(identity=[allow()], boundary=[allow(), deny()]), False),
    ("a boundary alone", Policies(boundary=[allow()]), False),
    ("a resource's policy past the boundary", Policies(resource=[allow(**TO_ROLE)], boundary=[]), True),
    ("only the identity's, where the resource decides", Policies(identity=[allow()], resource_decides=True), False),
    (
        "a key that delegates to the account",
        Policies(identity=[allow()], resource=[allow(Principal={"AWS": ROOT})], resource_decides=True),
        True,
    ),
    (
        "a key that delegates, and no identity's policy",
        Policies(resource=[allow(Principal={"AWS": ROOT})], resource_decides=True),
        False,
    ),
    ("a key that names the role", Policies(resource=[allow(**TO_ROLE)], resource_decides=True), True),
    ("another action", Policies(identity=[allow(Action="s3:PutObject")]), False),
    ("actions know no case", Policies(identity=[allow(Action="S3:getobject")]), True),
    ("a wildcard in the action", Policies(identity=[allow(Action=["sqs:*", "s3:Get*"])]), True),
    ("all but the action", Policies(identity=[all_but("s3:Put*")]), True),
    ("another resource", Policies(identity=[allow(Resource="arn:aws:s3:::lake")]), False),
    ("a resource of another place", Policies(identity=[allow(Resource="arn:aws:s3:::lake/curated/*")]), False),
    ("resources know case", Policies(identity=[allow(Resource="arn:aws:s3:::Lake/*")]), False),
    ("one character each", Policies(identity=[allow(Resource="arn:aws:s3:::lake/raw/????")]), True),
    ("one character too few", Policies(identity=[allow(Resource="arn:aws:s3:::lake/raw/???")]), False),
    ("any resource", Policies(identity=[allow(Resource="*")]), True),
    ("brackets are only brackets", Policies(identity=[allow(Resource="arn:aws:s3:::lake/ra[w]/file")]), False),
)


@pytest.mark.parametrize(
    ("policies", "expected"), [case[1:] for case in DECISIONS], ids=[case[0] for case in DECISIONS]
)
def test_policies_together_decide_as_documented(policies: Policies, expected: bool) -> None:
    assert asks(policies) is expected


@pytest.mark.parametrize(("place", "expected"), [("raw", True), ("curated", False)])
def test_a_denial_of_all_but_a_place_spares_it(place: str, expected: bool) -> None:
    spared = {"Effect": "Deny", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::lake/raw/*"}
    assert asks(Policies(identity=[allow(), spared]), resource=f"arn:aws:s3:::lake/{place}/file") is expected


CONDITIONS: tuple[tuple[dict[str, Any], dict[str, list[str]], bool], ...] = (
    ({"StringEquals": {"aws:SourceAccount": "1"}}, {"aws:sourceaccount": ["1"]}, True),
    ({"StringEquals": {"aws:SourceAccount": ["2", "1"]}}, {"aws:sourceaccount": ["1"]}, True),
    ({"StringEquals": {"aws:SourceAccount": "1"}}, {}, False),
    ({"StringEqualsIfExists": {"aws:SourceAccount": "1"}}, {}, True),
    ({"StringEqualsIfExists": {"aws:SourceAccount": "1"}}, {"aws:sourceaccount": ["2"]}, False),
    ({"StringNotEquals": {"aws:SourceAccount": "1"}}, {}, True),
    ({"StringNotEquals": {"aws:SourceAccount": ["1", "2"]}}, {"aws:sourceaccount": ["2"]}, False),
    ({"StringEqualsIgnoreCase": {"aws:x": "AB"}}, {"aws:x": ["ab"]}, True),
    ({"StringLike": {"s3:prefix": "raw/*"}}, {"s3:prefix": ["raw/trades/"]}, True),
    ({"StringLike": {"s3:prefix": "raw/*"}}, {"s3:prefix": ["curated/"]}, False),
    ({"StringEquals": {"s3:prefix": "raw/*"}}, {"s3:prefix": ["raw/trades/"]}, False),
    ({"StringNotLike": {"s3:prefix": "raw/*"}}, {"s3:prefix": ["curated/"]}, True),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:lake*"}}, {"aws:sourcearn": ["arn:aws:s3:::lake"]}, True),
    ({"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::lake"}}, {"aws:sourcearn": ["arn:aws:s3:::lake2"]}, False),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:*"}}, {"aws:sourcearn": ["arn:aws:s3:::lake"]}, False),
    ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:securetransport": ["true"]}, False),
    ({"Bool": {"aws:SecureTransport": False}}, {"aws:securetransport": ["false"]}, True),
    ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, {"s3:tlsversion": ["1.3"]}, False),
    ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, {"s3:tlsversion": ["1.1"]}, True),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": ["10.1.2.3"]}, True),
    ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:sourceip": ["10.1.2.3"]}, False),
    ({"Null": {"aws:SourceVpc": "true"}}, {}, True),
    ({"Null": {"aws:SourceVpc": "true"}}, {"aws:sourcevpc": ["vpc-1"]}, False),
    ({"Null": {"aws:SourceVpc": "false"}}, {"aws:sourcevpc": ["vpc-1"]}, True),
    ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {"k": ["b", "a"]}, True),
    ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {}, False),
    ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["b", "a"]}, True),
    ({"ForAllValues:StringEquals": {"k": ["a"]}}, {"k": ["b", "a"]}, False),
    ({"ForAllValues:StringEquals": {"k": ["a"]}}, {}, True),
    ({"ForAnyValue:StringNotEquals": {"k": ["a"]}}, {"k": ["a", "b"]}, True),
    ({"StringEquals": {"a": "1", "b": "2"}}, {"a": ["1"], "b": ["3"]}, False),
    ({"StringEquals": {"a": "1"}, "Bool": {"b": "true"}}, {"a": ["1"], "b": ["true"]}, True),
    ({"StringEquals": {"a": "${aws:PrincipalTag/team}"}}, {"a": ["x"], "aws:principaltag/team": ["x"]}, True),
    ({"StringEquals": {"a": "${aws:PrincipalTag/team}"}}, {"a": ["x"]}, False),
    ({"StringEquals": {"a": "${aws:PrincipalTag/team, 'x'}"}}, {"a": ["x"]}, True),
    ({"StringLike": {"a": "${aws:PrincipalTag/team}"}}, {"a": ["xy"], "aws:principaltag/team": ["x*"]}, False),
    ({"StringLike": {"a": "x${*}"}}, {"a": ["x*"]}, True),
    ({"StringLike": {"a": "x${*}"}}, {"a": ["xy"]}, False),
)


@pytest.mark.parametrize(("condition", "context", "expected"), CONDITIONS, ids=[str(case[0]) for case in CONDITIONS])
def test_a_condition_holds_as_documented(
    condition: dict[str, Any], context: dict[str, list[str]], expected: bool
) -> None:
    policies = Policies(identity=[allow(Condition=condition)])
    assert allowed(Request(ROLE, "s3:GetObject", OBJECT, context), policies) is expected


def test_a_condition_on_a_denial_has_to_hold_too() -> None:
    insecure = deny(Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})
    policies = Policies(identity=[allow()], resource=[insecure])
    assert asks(policies, aws__securetransport=["true"])
    assert not asks(policies, aws__securetransport=["false"])


def test_a_service_needs_its_name_in_the_policy() -> None:
    policies = Policies(resource=[allow(Principal={"Service": ["a.amazonaws.com", "s3.amazonaws.com"]})])
    assert asks(policies, principal="s3.amazonaws.com")
    assert not asks(policies, principal="sns.amazonaws.com")


def test_a_wildcard_does_not_reach_over_the_parts_of_an_arn() -> None:
    assert not asks(Policies(identity=[allow(Resource="arn:aws:s3:*:lake/raw/file")]))
    assert matches("arn:aws:s3:*:lake/raw/file", OBJECT)


def test_parts_of_an_arn_that_are_missing_are_wildcards() -> None:
    assert asks(Policies(identity=[allow(Resource="arn:aws:s3")]))
    assert not asks(Policies(identity=[allow(Resource="arn:aws:sqs")]))


@pytest.mark.parametrize(
    "statement",
    [
        allow(Condition={"DateLessThan": {"aws:CurrentTime": "2026-01-01"}}),
        allow(Condition={"ForNoValue:StringEquals": {"aws:CurrentTime": "x"}}),
        {**allow(), "Actions": "s3:*"},
    ],
)
def test_what_the_evaluator_does_not_know_is_no_verdict(statement: dict[str, Any]) -> None:
    with pytest.raises(UnknownElementError):
        allowed(
            Request(ROLE, "s3:GetObject", OBJECT, {"aws:currenttime": ["2025-01-01"]}), Policies(identity=[statement])
        )
