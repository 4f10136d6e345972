"""Policies as IAM evaluates them, within one account.

The order is AWS's: an explicit deny, then any allow of a resource's policy or of the identity's (both needed for keys
and trust), then the boundary. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
What a policy may say and this does not know raises `UnknownElementError`: a guess would be a wrong verdict.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

Statement = Mapping[str, Any]
Context = Mapping[str, Sequence[str]]


class UnknownElementError(Exception):
    """A policy uses what the evaluator does not know: teach it, with a case in its test."""


@dataclass(frozen=True)
class Request:
    """One action on one resource.

    principal: ARN of a role, or the name of a service (`s3.amazonaws.com`).
    context: values by condition key, lower case; a key that is absent is null.
    """

    principal: str
    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Policies:
    """What applies to a request.

    resource_decides: the resource's policy has to name the account or principal, as a key's and a trust policy's.
    """

    identity: Sequence[Statement] = ()
    resource: Sequence[Statement] = ()
    boundary: Sequence[Statement] | None = None
    resource_decides: bool = False


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def allowed(request: Request, policies: Policies) -> bool:
    of_resource = [each for each in policies.resource if _names_principal(each, request.principal)]
    everything = [*policies.identity, *of_resource, *(policies.boundary or ())]
    if any(each["Effect"] == "Deny" and applies(each, request) for each in everything):
        return False
    by_identity = _any_allow(policies.identity, request)
    by_resource = _any_allow(of_resource, request)
    if policies.boundary is not None:
        by_identity = by_identity and _any_allow(policies.boundary, request)
    if not policies.resource_decides:
        return by_identity or by_resource
    # the account's own root in a key's policy passes the decision to the identity's policies
    delegated = any(_is_root(each) for each in of_resource if each["Effect"] == "Allow" and applies(each, request))
    directly = any(each["Effect"] == "Allow" and not _is_root(each) and applies(each, request) for each in of_resource)
    return directly or (delegated and by_identity)


def _any_allow(statements: Iterable[Statement], request: Request) -> bool:
    return any(each["Effect"] == "Allow" and applies(each, request) for each in statements)


def applies(statement: Statement, request: Request) -> bool:
    """Say whether action, resource and conditions of a statement fit; its principal is another question."""
    unknown = set(statement) - _ELEMENTS
    if unknown:
        raise UnknownElementError(f"{sorted(unknown)} in {statement}")
    return (
        _fits(statement, "Action", lambda pattern: matches(pattern.lower(), request.action.lower()))
        and _fits(statement, "Resource", lambda pattern: _resource_matches(pattern, request))
        and all(
            _condition(operator, key, as_list(wanted), request.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


_ELEMENTS = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)


def _fits(statement: Statement, element: str, fits: Callable[[str], bool]) -> bool:
    if f"Not{element}" in statement:
        return not any(map(fits, as_list(statement[f"Not{element}"])))
    if element not in statement:
        return element == "Resource"  # a trust policy has none
    return any(map(fits, as_list(statement[element])))


def _resource_matches(pattern: str, request: Request) -> bool:
    filled = with_variables(pattern, request.context)
    if filled is None:
        return False
    if not pattern.startswith("arn:"):
        return matches(filled, request.resource)
    # a wildcard does not reach over the colons before the resource's own part, and parts that are missing are wildcards
    mine, theirs = filled.split(":", 5), request.resource.split(":", 5)
    return all(map(matches, mine + ["*"] * (6 - len(mine)), theirs)) and len(theirs) == 6


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\$\{[*?$]\}|[*?])", pattern)
    special = {"*": ".*", "?": ".", "${*}": r"\*", "${?}": r"\?", "${$}": r"\$"}
    return re.compile("".join(special.get(part, re.escape(part)) for part in parts), re.DOTALL)


def matches(pattern: str, value: str) -> bool:
    """Match as IAM does: `*` any characters, `?` one, and brackets mean nothing."""
    return _compiled(pattern).fullmatch(value) is not None


_VARIABLE = re.compile(r"\$\{([a-zA-Z0-9:/_.-]+)(?:,\s*'([^']*)')?\}")


def with_variables(pattern: str, context: Context) -> str | None:
    """Fill in `${aws:PrincipalTag/x}`; None where one has no value and no default, which never matches."""
    missing = False

    def fill(found: re.Match[str]) -> str:
        nonlocal missing
        values = context.get(found[1].lower()) or ([found[2]] if found[2] is not None else [])
        if len(values) != 1:
            missing = True
            return ""
        return re.sub(r"[*?$]", lambda each: f"${{{each[0]}}}", values[0])

    filled = _VARIABLE.sub(fill, pattern)
    return None if missing else filled


def _names_principal(statement: Statement, principal: str) -> bool:
    if "NotPrincipal" in statement:
        return not _in_principals(statement["NotPrincipal"], principal)
    return _in_principals(statement.get("Principal", []), principal)


def _in_principals(named: Any, principal: str) -> bool:
    if named == "*":
        return True
    for kind, names in dict(named).items():
        for name in as_list(names):
            if kind == "AWS" and principal.startswith("arn:"):
                account = principal.split(":")[4]
                if name in ("*", principal, account) or name.endswith(f"::{account}:root"):
                    return True
            elif kind in ("Service", "Federated") and name == principal:
                return True
            elif kind not in ("AWS", "Service", "Federated"):
                raise UnknownElementError(f"principal {kind}")
    return False


def _is_root(statement: Statement) -> bool:
    named = statement.get("Principal")
    return isinstance(named, Mapping) and any(str(name).endswith(":root") for name in as_list(named.get("AWS", [])))


def _condition(operator: str, key: str, wanted: list[Any], context: Context) -> bool:
    quantifier, _, bare = operator.rpartition(":")
    if_exists = bare.endswith("IfExists")
    bare = bare.removesuffix("IfExists")
    values = context.get(key.lower())
    if bare == "Null":
        return (not values) is (str(wanted[0]).lower() == "true")
    if quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise UnknownElementError(operator)
    if not values:
        # no value: true for ForAllValues and IfExists; for a negated operator there is nothing that could be equal
        return quantifier == "ForAllValues" or if_exists or (bare in _NEGATED and quantifier != "ForAnyValue")
    negated = bare in _NEGATED
    test = _operator(_NEGATED.get(bare, bare))

    def holds(value: str) -> bool:
        filled = (with_variables(str(each), context) for each in wanted)
        return any(test(value, each) for each in filled if each is not None) is not negated

    return any(map(holds, values)) if quantifier == "ForAnyValue" else all(map(holds, values))


_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnLike",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
}


def _arn_like(value: str, pattern: str) -> bool:
    """Match each of the six parts for itself. ArnEquals does the same."""
    mine, theirs = pattern.split(":", 5), value.split(":", 5)
    return len(mine) == len(theirs) == 6 and all(map(matches, mine, theirs))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": lambda value, wanted: matches(wanted, value),
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "IpAddress": lambda value, wanted: ip_address(value) in ip_network(wanted, strict=False),
    "NumericEquals": lambda value, wanted: float(value) == float(wanted),
    "NumericLessThan": lambda value, wanted: float(value) < float(wanted),
    "NumericLessThanEquals": lambda value, wanted: float(value) <= float(wanted),
    "NumericGreaterThan": lambda value, wanted: float(value) > float(wanted),
    "NumericGreaterThanEquals": lambda value, wanted: float(value) >= float(wanted),
}


def _operator(name: str) -> Callable[[str, str], bool]:
    if name not in _OPERATORS:
        raise UnknownElementError(f"condition operator {name}")
    return _OPERATORS[name]
