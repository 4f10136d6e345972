"""What libraries call in an account that no test can make them call: Dagster's launcher on ECS, its logs on S3, and
dbt's adapter for Athena.

Each client method that their files name is here: with the actions that it needs, or with the reason why it is never
called. A test compares with the installed files, so a release that calls more is seen.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path

from tests.support.permissions.account import Account
from tests.support.permissions.implied import Need, of_key
from tests.support.permissions.owners import CONTROL, WORK

Needs = tuple[tuple[str, str], ...]
"""Action and resource, by kind or as a template of an ARN's end."""


@dataclass(frozen=True)
class Library:
    """Some files of a distribution.

    calls: client methods with what they need; methods: how a file writes a call of one.
    never: methods that this project's settings never reach, and why.
    """

    distribution: str
    paths: tuple[str, ...]
    methods: str
    roles: tuple[str, ...]
    calls: dict[str, Needs]
    never: dict[str, str]

    def named(self) -> set[str]:
        return {
            method
            for path in self.paths
            for found in re.finditer(self.methods, _text(self.distribution, path))
            for method in found.groups()
            if method
        }


def _text(distribution: str, path: str) -> str:
    (file,) = [file for file in files(distribution) or () if str(file) == path]
    return Path(str(file.locate())).read_text()


RUN_TASK, RUN_DEFINITION = "ecs:task", "ecs:task-definition"

LIBRARIES = (
    Library(
        "dagster-aws",
        ("dagster_aws/ecs/launcher.py", "dagster_aws/ecs/tasks.py", "dagster_aws/ecs/utils.py"),
        r"\b(?:ecs|ec2|logs_client|logs|secrets_manager)\.([a-zA-Z_]+)\(",
        (CONTROL,),
        {
            "run_task": (("ecs:RunTask", RUN_DEFINITION), ("ecs:TagResource", RUN_TASK)),
            "stop_task": (("ecs:StopTask", RUN_TASK),),
            "describe_tasks": (("ecs:DescribeTasks", RUN_TASK),),
            "describe_task_definition": (("ecs:DescribeTaskDefinition", "*"),),
            "NetworkInterface": (("ec2:DescribeNetworkInterfaces", "*"),),
            "get_log_events": (("logs:GetLogEvents", "logs:run"),),
        },
        {"register_task_definition": "dagster.yaml names the task definition of runs"},
    ),
    Library(
        "dagster-aws",
        ("dagster_aws/s3/compute_log_manager.py",),
        r"_s3_session\.([a-z_0-9]+)\(",
        (WORK,),
        {
            "upload_fileobj": (
                ("s3:PutObject", "lake/dagster-logs/*"),
                ("s3:AbortMultipartUpload", "lake/dagster-logs/*"),
            ),
            "head_object": (("s3:GetObject", "lake/dagster-logs/*"),),
            "download_fileobj": (("s3:GetObject", "lake/dagster-logs/*"),),
        },
        {
            "list_objects": "nobody deletes logs by prefix",
            "delete_objects": (
                "a lifecycle deletes logs; Dagster does when a run is deleted, and reports its failure only"
            ),
            "list_objects_v2": "only the log of a backfill, which open-source Dagster doesn't store",
            "generate_presigned_url": "signed without a call",
        },
    ),
    Library(
        "dagster-aws",
        ("dagster_aws/s3/compute_log_manager.py",),
        r"_s3_session\.([a-z_0-9]+)\(",
        (CONTROL,),
        {
            "head_object": (("s3:GetObject", "lake/dagster-logs/*"),),
            "download_fileobj": (("s3:GetObject", "lake/dagster-logs/*"),),
            # what a signed address may do is what its signer may
            "generate_presigned_url": (("s3:GetObject", "lake/dagster-logs/*"),),
        },
        {
            "upload_fileobj": "runs and the code location write logs; webserver and daemon show them",
            "list_objects": "nobody deletes logs by prefix",
            "delete_objects": (
                "a lifecycle deletes logs; Dagster does when a run is deleted, and reports its failure only"
            ),
            "list_objects_v2": "only the log of a backfill, which open-source Dagster doesn't store",
        },
    ),
    Library(
        "dbt-athena",
        ("dbt/adapters/athena/impl.py", "dbt/adapters/athena/connections.py"),
        r"\b(?:glue_client|athena_client|athena|client|_client|s3_client|s3_bucket|sts)\.((?!session|region)[a-z_0-9]+)"
        r"\((?!\"get_)|get_paginator\(\"([a-z_]+)\"\)",
        (WORK,),
        {
            "get_table": (("glue:GetTable", "catalog"), ("glue:GetTable", "database"), ("glue:GetTable", "database/*")),
            "get_tables": (
                ("glue:GetTables", "catalog"),
                ("glue:GetTables", "database"),
                ("glue:GetTables", "database/*"),
            ),
            "get_databases": (("glue:GetDatabases", "catalog"), ("glue:GetDatabases", "database")),
            "get_partitions": tuple(("glue:GetPartitions", kind) for kind in ("catalog", "database", "database/*")),
            "get_table_versions": tuple(
                ("glue:GetTableVersions", kind) for kind in ("catalog", "database", "database/*")
            ),
            "delete_table_version": tuple(
                ("glue:DeleteTableVersion", kind) for kind in ("catalog", "database", "database/*")
            ),
            "update_table": tuple(("glue:UpdateTable", kind) for kind in ("catalog", "database", "database/*")),
            "delete_table": tuple(("glue:DeleteTable", kind) for kind in ("catalog", "database", "database/*")),
            "batch_delete_partition": tuple(
                ("glue:BatchDeletePartition", kind) for kind in ("catalog", "database", "database/*")
            ),
            "batch_create_partition": tuple(
                ("glue:BatchCreatePartition", kind) for kind in ("catalog", "database", "database/*")
            ),
            "get_work_group": (("athena:GetWorkGroup", "workgroup"),),
            "start_query_execution": (("athena:StartQueryExecution", "workgroup"),),
            "get_query_execution": (("athena:GetQueryExecution", "workgroup"),),
            "get_query_results": (("athena:GetQueryResults", "workgroup"),),
            "stop_query_execution": (("athena:StopQueryExecution", "workgroup"),),
            "upload_file": (("s3:PutObject", "lake/marts/*"), ("s3:AbortMultipartUpload", "lake/marts/*")),
            "list_objects_v2": (("s3:ListBucket", "lake"),),
            "delete_objects": (("s3:DeleteObject", "lake/marts/*"),),
        },
        {
            "get_database": "creates a schema that is missing; Terraform makes the only one",
            "delete_database": "no schema is ever dropped",
            "get_caller_identity": (
                "needs no right: IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"
            ),
            "get_data_catalog": "the catalog is awsdatacatalog, which the adapter knows",
            "list_table_metadata": "for catalogs that are not Glue's",
        },
    ),
)


def library_needs(account: Account) -> Iterator[Need]:
    if not any(True for _ in account.of_type("aws_ecs_service")):
        return
    for library in LIBRARIES:
        for method, needs in library.calls.items():
            for action, kind in needs:
                for role in library.roles:
                    yield from _need(account, role, action, kind, f"{library.distribution} calls {method}")
    why, page = "runs take them", "AmazonECS/latest/developerguide/task-iam-roles.html"
    for passed in ("dagster-execution", "dagster-work"):
        context = {"iam:passedtoservice": ["ecs-tasks.amazonaws.com"]}
        yield Need(CONTROL, "iam:PassRole", account.role_arn(passed), why, page, context)


def _need(account: Account, role: str, action: str, kind: str, why: str) -> Iterator[Need]:
    name = f"{account.name}-dagster"
    context = {"ecs:cluster": [account.arn("ecs", f"cluster/{name}")]} if action.startswith("ecs:") else {}
    if action == "ecs:TagResource":
        context["ecs:createaction"] = ["RunTask"]
    resource = {
        RUN_TASK: account.arn("ecs", f"task/{name}/0123456789abcdef"),
        RUN_DEFINITION: account.arn("ecs", f"task-definition/{name}-run:1"),
        "logs:run": account.arn("logs", f"log-group:/ecs/{name}/run:log-stream:run/run/1"),
    }.get(kind) or account.resource_arn(kind)
    yield Need(role, action, resource, why, "tests/support/permissions/libraries.py", context)
    if action.startswith("s3:"):
        yield from of_key(account, role, action, resource, in_parts=action == "s3:PutObject")
