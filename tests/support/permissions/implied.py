"""What services ask for on behalf of a caller, or for themselves. moto makes none of these calls; each names AWS's
page.

Pages are below https://docs.aws.amazon.com/.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.permissions.account import Account, tags_of
from tests.support.permissions.api_calls import Call
from tests.support.permissions.policy import Context


@dataclass(frozen=True)
class Need:
    """One request that has to be allowed, and why.

    source: AWS's page, or the code that calls.
    """

    principal: str
    action: str
    resource: str
    why: str
    source: str
    context: Context = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.principal} may not {self.action} on {self.resource}: {self.why} ({self.source})"


def needs(account: Account, calls: set[Call]) -> Iterator[Need]:
    """Yield everything that has to be allowed: the calls, and what they and the resources imply."""
    for call in sorted(calls):
        yield from _of_call(account, call)
    yield from _of_functions(account)
    yield from _of_schedules(account)
    yield from _of_notifications(account)
    yield from _of_log_groups(account)
    yield from _of_tasks(account)


def _of_call(account: Account, call: Call) -> Iterator[Need]:
    arn = account.resource_arn(call.resource)
    context: dict[str, list[str]] = {key: list(values) for key, values in tags_of(call.detail).items()}
    if call.detail.startswith("prefix="):
        context["s3:prefix"] = [call.detail.removeprefix("prefix=")]
    if call.detail == "if-none-match":
        context["s3:if-none-match"] = ["*"]
    yield Need(call.role, call.action, arn, "its code calls it", "tests/data/aws_calls.txt", context)
    in_parts = call.detail == "multipart"
    yield from of_key(account, call.role, call.action, arn, in_parts)
    if in_parts:
        # AmazonS3/latest/userguide/mpuoverview.html: what is not completed is aborted
        yield Need(call.role, "s3:AbortMultipartUpload", arn, "an upload in parts that fails", _MULTIPART)
    if call.action == "s3:GetObject":
        why = "without it S3 answers 403 for an object that is not there, where the code expects 404"
        yield Need(
            call.role, "s3:ListBucket", account.resource_arn("lake"), why, "AmazonS3/latest/API/API_GetObject.html"
        )
    if call.action == "athena:StartQueryExecution":
        yield from _of_query(account, call)
    if call.action == "athena:GetQueryResults":
        # athena/latest/ug/querying.html: results are read with the caller's rights
        results = account.resource_arn("lake/athena-results/*")
        yield from _with_key(account, call.role, "s3:GetObject", results, "results of a query", _ATHENA_S3)


_MULTIPART = "AmazonS3/latest/userguide/mpuoverview.html"
_ATHENA_S3 = "athena/latest/ug/s3-permissions.html"

_KEY_ACTIONS: dict[str, tuple[str, ...]] = {
    # AmazonS3/latest/userguide/UsingKMSEncryption.html; a bucket key changes the number of calls, not the right
    "s3:PutObject": ("GenerateDataKey",),
    "s3:GetObject": ("Decrypt",),
    "s3:GetObjectVersion": ("Decrypt",),
    # streams/latest/dev/permissions-user-key-KMS.html
    "kinesis:PutRecords": ("GenerateDataKey",),
    "kinesis:PutRecord": ("GenerateDataKey",),
    "kinesis:GetRecords": ("Decrypt",),
    # amazondynamodb/latest/developerguide/encryption.usagenotes.html
    **{
        f"dynamodb:{action}": ("Decrypt",)
        for action in ("GetItem", "BatchGetItem", "Query", "Scan", "PutItem", "UpdateItem", "BatchWriteItem")
    },
    # AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
    "sqs:SendMessage": ("GenerateDataKey", "Decrypt"),
    "sqs:ReceiveMessage": ("Decrypt",),
    # sns/latest/dg/sns-key-management.html
    "sns:Publish": ("GenerateDataKey", "Decrypt"),
    # secretsmanager/latest/userguide/security-encryption.html
    "secretsmanager:GetSecretValue": ("Decrypt",),
}

_KEY_OF = {
    "s3": (
        "aws_s3_bucket_server_side_encryption_configuration",
        "rule.apply_server_side_encryption_by_default.kms_master_key_id",
    ),
    "kinesis": ("aws_kinesis_stream", "kms_key_id"),
    "dynamodb": ("aws_dynamodb_table", "server_side_encryption.kms_key_arn"),
    "sqs": ("aws_sqs_queue", "kms_master_key_id"),
    "sns": ("aws_sns_topic", "kms_master_key_id"),
    "secretsmanager": ("aws_secretsmanager_secret", "kms_key_id"),
}


def of_key(account: Account, principal: str, action: str, resource: str, in_parts: bool = False) -> Iterator[Need]:
    """Yield what an encrypted resource asks of the key, with the caller's rights.

    in_parts: S3 decrypts the parts of an upload before it puts them together.
    """
    service = action.partition(":")[0]
    if action not in _KEY_ACTIONS or not account.encrypts(*_KEY_OF[service]):
        return
    for wanted in (*_KEY_ACTIONS[action], *(["Decrypt"] if in_parts else [])):
        yield _key_need(account, principal, wanted, service, f"{action} on {resource} is encrypted with the key")


def _key_need(account: Account, principal: str, action: str, service: str, why: str) -> Need:
    _, region, _ = account.partition_and_account
    context = {**account.key_context, "kms:viaservice": [f"{service}.{region}.amazonaws.com"]}
    return Need(
        principal, f"kms:{action}", account.key_arn, why, "kms/latest/developerguide/service-integration.html", context
    )


def _with_key(account: Account, principal: str, action: str, resource: str, why: str, source: str) -> Iterator[Need]:
    yield Need(principal, action, resource, why, source)
    # Athena and Dagster upload what is large in parts
    yield from of_key(account, principal, action, resource, in_parts=action == "s3:PutObject" and "Athena" in why)


_READ = (
    "glue:GetDatabase",
    "glue:GetTable",
    "glue:GetTables",
    "glue:GetPartition",
    "glue:GetPartitions",
    "glue:BatchGetPartition",
)
_WRITES_OF_STATEMENTS: dict[str, tuple[str, ...]] = {
    "create-table-as": ("glue:CreateTable", "glue:BatchCreatePartition", "glue:CreatePartition"),
    "create-table": ("glue:CreateTable",),
    "create-view": ("glue:CreateTable", "glue:UpdateTable"),
    "insert": ("glue:UpdateTable", "glue:BatchCreatePartition", "glue:CreatePartition", "glue:UpdatePartition"),
    "drop": ("glue:DeleteTable",),
    "alter": ("glue:UpdateTable", "glue:CreatePartition", "glue:BatchCreatePartition", "glue:BatchDeletePartition"),
    "optimize": ("glue:UpdateTable",),
    "vacuum": ("glue:UpdateTable",),
}
"""athena/latest/ug/fine-grained-access-to-glue-resources.html"""

_WRITING_OBJECTS = ("create-table-as", "unload", "insert", "optimize")
_DELETING_OBJECTS = ("insert", "optimize", "vacuum")


def _of_query(account: Account, call: Call) -> Iterator[Need]:
    """Yield what Athena does with the caller's rights: it reads tables and their objects, and writes its results."""
    role, kind = call.role, call.detail
    bucket = account.resource_arn("lake")
    for action in ("s3:GetBucketLocation", "s3:ListBucket"):
        yield Need(role, action, bucket, "Athena looks at the place of its results", _ATHENA_S3)
    results = account.resource_arn("lake/athena-results/*")
    for action in ("s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"):
        yield from _with_key(account, role, action, results, "Athena writes results", _ATHENA_S3)
    for zone in ("lake/raw/trades/*", "lake/curated/trades/*", "lake/marts/*", "lake/quarantine/records/*"):
        yield from _with_key(
            account, role, "s3:GetObject", account.resource_arn(zone), "Athena reads a table", _ATHENA_S3
        )
    for action in _READ:
        yield from _on_tables(account, role, action)
    for action in _WRITES_OF_STATEMENTS.get(kind, ()):
        yield from _on_tables(account, role, action, ("database/*",))
    places = ["lake/marts/*", *(["lake/curated/trades/*"] if kind == "unload" else [])]
    for place in places:
        arn = account.resource_arn(place)
        if kind in _WRITING_OBJECTS:
            for action in ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"):
                yield from _with_key(account, role, action, arn, f"Athena writes what {kind} makes", _ATHENA_S3)
        if kind in _DELETING_OBJECTS:
            yield Need(role, "s3:DeleteObject", arn, f"{kind} of an Iceberg table removes files", _ATHENA_S3)


def _on_tables(
    account: Account, role: str, action: str, tables: tuple[str, ...] = ("database/trades", "database/*")
) -> Iterator[Need]:
    for kind in ("catalog", "database", *tables):
        why = "Athena asks the catalog"
        yield Need(
            role, action, account.resource_arn(kind), why, "athena/latest/ug/fine-grained-access-to-glue-resources.html"
        )


def _of_functions(account: Account) -> Iterator[Need]:
    """Yield what Lambda does with a function's role: its logs, its traces, its environment, its event source."""
    for function in account.of_type("aws_lambda_function"):
        name = function["values"]["function_name"]
        role = name.removeprefix(f"{account.name}-")
        group = function["values"]["logging_config"][0].get("log_group") or f"/aws/lambda/{name}"
        for action in ("CreateLogStream", "PutLogEvents"):
            # lambda/latest/dg/monitoring-cloudwatchlogs.html
            stream = account.arn("logs", f"log-group:{group}:log-stream:2026/01/18/[$LATEST]1")
            yield Need(
                role, f"logs:{action}", stream, f"{name} logs", "lambda/latest/dg/monitoring-cloudwatchlogs.html"
            )
        if function["values"]["tracing_config"][0]["mode"] == "Active":
            for action in ("PutTraceSegments", "PutTelemetryRecords"):
                yield Need(role, f"xray:{action}", "*", f"{name} is traced", "lambda/latest/dg/services-xray.html")
        if account.encrypts("aws_lambda_function", "kms_key_arn", function["address"]):
            why = f"the environment of {name} is encrypted with the key"
            yield _key_need(account, role, "Decrypt", "lambda", why)
    for mapping in account.of_type("aws_lambda_event_source_mapping"):
        module = mapping["address"].split(".aws_lambda")[0]
        role = next(
            each["values"]["function_name"].removeprefix(f"{account.name}-")
            for each in account.of_type("aws_lambda_function")
            if each["address"].startswith(f"{module}.")
        )
        for action in ("DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards"):
            # with-kinesis.html lists ListStreams and SubscribeToShard too; those are for the console and for fan-out
            stream = account.resource_arn("stream")
            page = "lambda/latest/dg/services-kinesis-create.html"
            yield from _with_key(account, role, f"kinesis:{action}", stream, "the mapping reads the stream", page)
        if mapping["values"].get("destination_config", [{}])[0].get("on_failure"):
            page = "lambda/latest/dg/kinesis-on-failure-destination.html"
            place = account.resource_arn("lake/aws/lambda/*")
            yield Need(role, "s3:ListBucket", account.resource_arn("lake"), "the mapping keeps failed batches", page)
            yield from _with_key(account, role, "s3:PutObject", place, "the mapping keeps failed batches", page)


def _of_schedules(account: Account) -> Iterator[Need]:
    """Yield what EventBridge Scheduler does with its role. scheduler/latest/UserGuide/encryption-rest.html"""
    for schedule in account.of_type("aws_scheduler_schedule"):
        name = schedule["values"]["name"]
        target = schedule["values"]["target"][0].get("arn") or account.arn("lambda", f"function:{account.name}-{name}")
        page = "scheduler/latest/UserGuide/setting-up.html"
        yield Need("scheduler", "lambda:InvokeFunction", target, f"the schedule {name} invokes it", page)
        if account.encrypts("aws_scheduler_schedule", "kms_key_arn", schedule["address"]):
            why = f"the schedule {name} is encrypted with the key, and its role reads it"
            yield _key_need(account, "scheduler", "Decrypt", "scheduler", why)


def _of_notifications(account: Account) -> Iterator[Need]:
    """Yield what S3, CloudWatch and Budgets do in their own names."""
    _, _, number = account.partition_and_account
    for notification in account.of_type("aws_s3_bucket_notification"):
        context = {"aws:sourcearn": [account.resource_arn("lake")], "aws:sourceaccount": [number]}
        queue = account.resource_arn("queue")
        page = "AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html"
        why = f"{notification['address']} tells of objects"
        yield Need("s3.amazonaws.com", "sqs:SendMessage", queue, why, page, context)
        if account.encrypts(*_KEY_OF["sqs"]):
            for action in ("GenerateDataKey", "Decrypt"):
                yield Need("s3.amazonaws.com", f"kms:{action}", account.key_arn, why, page, context)
    for service, arn, kind in (
        ("cloudwatch", account.arn("cloudwatch", "alarm:any"), "aws_cloudwatch_metric_alarm"),
        ("budgets", account.arn("budgets", "budget/any"), "aws_budgets_budget"),
    ):
        if not any(True for _ in account.of_type(kind)):
            continue
        principal = f"{service}.amazonaws.com"
        context = {"aws:sourcearn": [arn], "aws:sourceaccount": [number]}
        page = "AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html"
        why = f"{service} tells of what it sees"
        yield Need(principal, "sns:Publish", account.resource_arn("topic"), why, page, context)
        if account.encrypts(*_KEY_OF["sns"]):
            # sns/latest/dg/sns-key-management.html, "compatibility with event sources from AWS services"
            for action in ("GenerateDataKey", "Decrypt"):
                yield Need(
                    principal, f"kms:{action}", account.key_arn, why, "sns/latest/dg/sns-key-management.html", context
                )


def _of_log_groups(account: Account) -> Iterator[Need]:
    """Yield what CloudWatch Logs asks of a key. AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"""
    _, region, _ = account.partition_and_account
    for group in account.of_type("aws_cloudwatch_log_group"):
        if not account.encrypts("aws_cloudwatch_log_group", "kms_key_id", group["address"]):
            continue
        context = {"kms:encryptioncontext:aws:logs:arn": [account.arn("logs", f"log-group:{group['values']['name']}")]}
        for action in ("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "DescribeKey"):
            yield Need(
                f"logs.{region}.amazonaws.com",
                f"kms:{action}",
                account.key_arn,
                f"the log group {group['values']['name']} is encrypted with the key",
                "AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
                context,
            )


def _of_tasks(account: Account) -> Iterator[Need]:
    """Yield what ECS does with Dagster's roles, and what Dagster's libraries call in tasks (`libraries`)."""
    if not any(True for _ in account.of_type("aws_ecs_task_definition")):
        return
    role, name = "dagster-execution", f"{account.name}-dagster"
    page = "AmazonECS/latest/developerguide/task_execution_IAM_role.html"
    yield Need(role, "ecr:GetAuthorizationToken", "*", "tasks pull their image", page)
    for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
        # the repository's key is used by grants of the repository: AmazonECR/latest/userguide/encryption-at-rest.html
        yield Need(role, f"ecr:{action}", account.arn("ecr", f"repository/{name}"), "tasks pull their image", page)
    for group in account.of_type("aws_cloudwatch_log_group"):
        if group["values"]["name"].startswith(f"/ecs/{name}/"):
            stream = account.arn("logs", f"log-group:{group['values']['name']}:log-stream:run/run/1")
            for action in ("CreateLogStream", "PutLogEvents"):
                yield Need(role, f"logs:{action}", stream, "tasks log", page)
    yield from _of_secrets(account, role)
    for service in account.of_type("aws_ecs_service"):
        if service["values"].get("enable_execute_command"):
            for action in ("CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel"):
                # AmazonECS/latest/developerguide/ecs-exec.html
                page = "AmazonECS/latest/developerguide/ecs-exec.html"
                yield Need("dagster-control", f"ssmmessages:{action}", "*", "a shell can be opened", page)
    yield from _of_shells(account)
    yield from _of_log_in(account)


def _of_shells(account: Account) -> Iterator[Need]:
    """Yield what keeps the log of a shell: the task's own role. AmazonECS/latest/developerguide/ecs-exec.html"""
    page, why = "AmazonECS/latest/developerguide/ecs-exec.html", "what is typed in a shell is kept"
    for cluster in account.of_type("aws_ecs_cluster"):
        for configuration in cluster["values"].get("configuration", ()):
            for command in configuration.get("execute_command_configuration", ()):
                for log in command.get("log_configuration", ()):
                    name = log["cloud_watch_log_group_name"]
                    yield Need(
                        "dagster-control", "logs:DescribeLogGroups", account.arn("logs", "log-group:x"), why, page
                    )
                    for action in ("CreateLogStream", "DescribeLogStreams", "PutLogEvents"):
                        stream = account.arn("logs", f"log-group:{name}:log-stream:shell")
                        yield Need("dagster-control", f"logs:{action}", stream, why, page)


def _of_log_in(account: Account) -> Iterator[Need]:
    """Yield the log-in by token. AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html"""
    page = "AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html"
    for database in account.of_type("aws_db_instance"):
        if not database["values"].get("iam_database_authentication_enabled"):
            continue
        for role in ("dagster-control", "dagster-work"):
            user = account.arn("rds-db", f"dbuser:db-ABCDEFGHIJKL/{database['values']['username']}")
            yield Need(role, "rds-db:connect", user, "Dagster logs in with a token", page)


def _of_secrets(account: Account, role: str) -> Iterator[Need]:
    """Yield how a task's secrets are read. AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html"""
    for task in account.of_type("aws_ecs_task_definition"):
        text = task["values"].get("container_definitions")
        named = [secret for container in json.loads(text) for secret in container.get("secrets", ())] if text else None
        database = next(account.of_type("aws_db_instance"), None)
        if named == [] or database is None or not database["values"].get("manage_master_user_password"):
            continue
        # a definition that is not known in a plan names the database's secret
        arn = account.arn("secretsmanager", "secret:rds!db-1234-AbCdEf")
        owner = account.arn("rds", f"db:{database['values']['identifier']}")
        yield Need(
            role,
            "secretsmanager:GetSecretValue",
            arn,
            f"{task['address']} takes the database's password",
            "AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html",
            {"aws:resourcetag/aws:rds:primarydbinstancearn": [owner]},
        )
