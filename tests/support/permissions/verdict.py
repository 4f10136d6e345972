"""The two directions: what is called and may not be, and what may be and is never called."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.support.permissions.account import Account
from tests.support.permissions.api_calls import Call
from tests.support.permissions.implied import Need, needs
from tests.support.permissions.libraries import library_needs
from tests.support.permissions.policy import Request, Statement, applies, as_list


@dataclass(frozen=True, order=True)
class Grant:
    """One action on one pattern of resources that a role may do."""

    role: str
    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.role} may {self.action} on {self.resource}"


def everything_needed(account: Account, calls: set[Call]) -> list[Need]:
    """Return what has to be allowed to the roles that the account has, each once."""
    found = [*needs(account, calls), *library_needs(account)]
    there = [
        need for need in found if need.principal.endswith(".amazonaws.com") or need.principal in account.identities
    ]
    return list(dict.fromkeys(there))


def denied(account: Account, needed: list[Need]) -> list[str]:
    return [
        str(need) for need in needed if not account.allows(need.principal, need.action, need.resource, need.context)
    ]


def grants(account: Account) -> Iterator[tuple[Grant, Statement]]:
    """Yield each action and resource of each statement that allows something, with the statement of that pair only."""
    for role, statements in account.identities.items():
        for statement in statements:
            if statement["Effect"] != "Allow":
                continue
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    yield Grant(role, action, resource), {**statement, "Action": action, "Resource": resource}


def unused(account: Account, needed: list[Need]) -> set[Grant]:
    """Return grants that nothing needs."""
    found = set()
    by_role: dict[str, list[Need]] = {}
    for need in needed:
        by_role.setdefault(need.principal, []).append(need)
    for grant, statement in grants(account):
        if not any(
            applies(statement, Request(grant.role, need.action, need.resource, need.context))
            for need in by_role.get(grant.role, ())
        ):
            found.add(grant)
    return found


def granted_twice(account: Account) -> list[str]:
    seen: dict[tuple[Grant, str], int] = {}
    for grant, statement in grants(account):
        key = (grant, str(statement.get("Condition")))
        seen[key] = seen.get(key, 0) + 1
    return sorted(f"{grant} twice" for (grant, _), count in seen.items() if count > 1)


def without_exceptions(
    found: set[Grant], exceptions: Mapping[tuple[str, str, str], str]
) -> tuple[list[str], list[str]]:
    """Return grants without a reason, and exceptions that no grant needs.

    exceptions: reasons by role, action and end of the resource.
    """

    def excused(grant: Grant, exception: tuple[str, str, str]) -> bool:
        role, action, end = exception
        return (grant.role, grant.action) == (role, action) and grant.resource.endswith(end)

    without = sorted(str(grant) for grant in found if not any(excused(grant, each) for each in exceptions))
    stale = sorted(" ".join(each) for each in exceptions if not any(excused(grant, each) for grant in found))
    return without, stale
