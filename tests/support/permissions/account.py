"""An account as a plan makes it: roles with their policies, resources with theirs, and which of them the key
encrypts.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.support.permissions.policy import Context, Policies, Request, Statement, allowed, as_list

Resource = dict[str, Any]

_RESOURCE_POLICIES = {
    "aws_s3_bucket_policy": "s3",
    "aws_sqs_queue_policy": "sqs",
    "aws_sns_topic_policy": "sns",
    "aws_kms_key": "kms",
}

USUAL: Context = {"aws:securetransport": ["true"], "s3:tlsversion": ["1.3"]}
"""What boto3's requests have."""


@dataclass(frozen=True)
class Account:
    """One environment.

    plan: of `tests/data/terraform`
    bootstrap: resources of the plan that makes what bounds the roles
    """

    plan: Mapping[str, Any]
    bootstrap: Sequence[Resource] = ()

    @property
    def resources(self) -> Sequence[Resource]:
        return self.plan["resources"]  # type: ignore[no-any-return]

    def of_type(self, kind: str) -> Iterator[Resource]:
        return (resource for resource in self.resources if resource["type"] == kind)

    @cached_property
    def settings(self) -> Mapping[str, str]:
        return self.plan["settings"]  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        return f"{self.settings['PROJECT_NAME']}-{self.settings['ENVIRONMENT']}"

    @cached_property
    def partition_and_account(self) -> tuple[str, str, str]:
        _, partition, _, region, account, _ = self.settings["ALERT_TOPIC_ARN"].split(":", 5)
        return partition, region, account

    def arn(self, service: str, rest: str) -> str:
        partition, region, account = self.partition_and_account
        if service == "iam":
            region = ""
        return f"arn:{partition}:{service}:{region}:{account}:{rest}"

    @cached_property
    def identities(self) -> dict[str, list[Statement]]:
        """Statements by short role name: `producer`, `dagster-work`, `scheduler`."""
        found: dict[str, list[Statement]] = {}
        for role in self.of_type("aws_iam_role"):
            inside = role["address"].replace("aws_iam_role.", "aws_iam_role_policy.", 1)
            short = role["values"]["name"].removeprefix(f"{self.name}-")
            policies = [each for each in self.of_type("aws_iam_role_policy") if each["address"] == inside]
            found[short] = [
                statement
                for policy in policies
                for statement in as_list(json.loads(policy["values"]["policy"])["Statement"])
            ]
        return found

    @cached_property
    def boundaries(self) -> dict[str, list[Statement] | None]:
        """Statements that bound each role, by its short name; None where nothing does."""
        policies = {
            policy["values"]["name"]: as_list(json.loads(policy["values"]["policy"])["Statement"])
            for policy in (*self.bootstrap, *self.of_type("aws_iam_policy"))
            if policy["type"] == "aws_iam_policy"
        }
        found: dict[str, list[Statement] | None] = {}
        for role in self.of_type("aws_iam_role"):
            arn = role["values"].get("permissions_boundary")
            short = role["values"]["name"].removeprefix(f"{self.name}-")
            found[short] = policies.get(arn.rpartition("/")[2], []) if arn and policies else None
        return found

    @cached_property
    def trusts(self) -> dict[str, list[Statement]]:
        return {
            role["values"]["name"].removeprefix(f"{self.name}-"): as_list(
                json.loads(role["values"]["assume_role_policy"])["Statement"]
            )
            for role in self.of_type("aws_iam_role")
        }

    def policies_without_role(self) -> list[str]:
        """Addresses of policies that no role of the plan is found for."""
        roles = {role["address"] for role in self.of_type("aws_iam_role")}
        return [
            policy["address"]
            for policy in self.of_type("aws_iam_role_policy")
            if policy["address"].replace("aws_iam_role_policy.", "aws_iam_role.", 1) not in roles
        ]

    @cached_property
    def resource_policies(self) -> list[tuple[str, list[Statement]]]:
        """Statements of resources' own policies, with the service that asks them."""
        return [
            (service, as_list(json.loads(resource["values"]["policy"])["Statement"]))
            for kind, service in _RESOURCE_POLICIES.items()
            for resource in self.of_type(kind)
            if "policy" in resource["values"]
        ]

    @property
    def has_key(self) -> bool:
        return any(True for _ in self.of_type("aws_kms_key"))

    @property
    def key_arn(self) -> str:
        return self.arn("kms", "key/1234abcd")

    def encrypts(self, kind: str, attribute: str, address: str = "") -> bool:
        """Say whether resources of a type (at an address) are encrypted with the customer managed key.

        Its ARN is known after the apply. Where there is no customer key, AWS's own need no grant.
        """
        return self.has_key and any(
            attribute in resource["unknown"]
            for resource in self.of_type(kind)
            if not address or resource["address"] == address
        )

    def role_arn(self, short: str) -> str:
        return self.arn("iam", f"role/{self.name}-{short}")

    def resource_arn(self, kind: str) -> str:
        """Return an ARN of what `api_calls` names by kind."""
        settings = self.settings
        partition, _, _ = self.partition_and_account
        place, _, rest = kind.partition("/")
        rest = rest.replace("*", "example")
        if place == "lake":
            return f"arn:{partition}:s3:::{settings['BUCKET_NAME']}" + (f"/{rest}" if rest else "")
        if place == "database":
            name = settings["DATABASE_NAME"]
            return self.arn("glue", f"table/{name}/{rest}" if rest else f"database/{name}")
        return {
            "stream": self.arn("kinesis", f"stream/{settings['STREAM_NAME']}"),
            "table": self.arn("dynamodb", f"table/{settings['STATE_TABLE_NAME']}"),
            "queue": self.arn("sqs", settings["DEAD_LETTER_QUEUE_URL"].rpartition("/")[2]),
            "topic": settings["ALERT_TOPIC_ARN"],
            "secret": self.arn("secretsmanager", f"secret:{settings['PROVIDER_SECRET_NAME']}-AbCdEf"),
            "workgroup": self.arn("athena", f"workgroup/{settings['ATHENA_WORKGROUP']}"),
            "catalog": self.arn("glue", "catalog"),
            "key": self.key_arn,
        }.get(kind, kind)

    def allows(self, principal: str, action: str, resource: str, context: Context | None = None) -> bool:
        """Evaluate one request.

        principal: a short role name, or a service's (`s3.amazonaws.com`).
        """
        is_service = principal.endswith(".amazonaws.com")
        request = Request(
            principal if is_service else self.role_arn(principal), action, resource, {**USUAL, **(context or {})}
        )
        service = action.partition(":")[0]
        of_resource = [
            statement for owner, statements in self.resource_policies if owner == service for statement in statements
        ]
        if service == "kms":
            # in a key's policy "*" is the key itself
            of_resource = [{**each, "Resource": self.key_arn} for each in of_resource]
        if principal.startswith("dagster-") and not self._passes_endpoint(request):
            return False
        return allowed(
            request,
            Policies(
                identity=() if is_service else self.identities.get(principal, ()),
                resource=of_resource,
                boundary=self.boundaries.get(principal),
                resource_decides=service == "kms",
            ),
        )

    def _passes_endpoint(self, request: Request) -> bool:
        """Say whether Dagster's network lets a request through to a service that has an endpoint with a policy in it.

        https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
        """
        service = request.action.partition(":")[0]
        policies = [
            as_list(json.loads(endpoint["values"]["policy"])["Statement"])
            for endpoint in self.of_type("aws_vpc_endpoint")
            if endpoint["values"].get("policy") and endpoint["values"]["service_name"].endswith(f".{service}")
        ]
        return all(allowed(request, Policies(resource=statements)) for statements in policies)

    def may_be_taken_by(self, role: str, service: str, context: Context) -> bool:
        """Say whether a service may take a role."""
        request = Request(service, "sts:AssumeRole", self.role_arn(role), context)
        return allowed(request, Policies(resource=self.trusts.get(role, ()), resource_decides=True))

    @property
    def key_context(self) -> Context:
        aliases = [alias["values"]["name"] for alias in self.of_type("aws_kms_alias")]
        return {"kms:resourcealiases": aliases}


def tags_of(detail: str) -> Context:
    """Return the condition keys of tags that a request gives an object."""
    found = dict(re.findall(r"(?:^tags=|&)([^=&]+)=([^&]*)", detail))
    context: dict[str, list[str]] = {f"s3:requestobjecttag/{name.lower()}": [value] for name, value in found.items()}
    return {**context, "s3:requestobjecttagkeys": list(found)} if found else {}
