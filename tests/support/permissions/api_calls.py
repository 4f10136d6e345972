"""What a call of a client asks for in IAM's terms: actions on resources of the lake, stream, table and so on.

Names of AWS's own come as tests use them, so a resource is written by its kind (`stream`, `lake/raw/trades/*`); the
plan of an environment says which ARN that is. Which action an operation needs:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html and the service authorization
reference, https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True, order=True)
class Call:
    """One action that a role takes in an account.

    detail: what conditions and implied calls depend on: tags given, a statement's kind.
    """

    role: str
    action: str
    resource: str
    detail: str = ""

    def line(self) -> str:
        return " ".join((self.role, self.action, self.resource, self.detail)).strip()

    @classmethod
    def of(cls, line: str) -> "Call":
        return cls(*line.split(" ", 3))


Asked = tuple[str, str, str]


def asked(service: str, operation: str, parameters: Mapping[str, Any]) -> Iterator[Asked]:
    """Yield action, resource and detail of each thing that a call asks for."""
    if service == "s3":
        yield from _of_s3(operation, parameters)
    elif service == "athena":
        detail = statement_kind(parameters["QueryString"]) if operation == "StartQueryExecution" else ""
        yield f"athena:{operation}", "workgroup", detail
    elif service == "glue":
        yield from _of_glue(operation, parameters)
    else:
        yield f"{service}:{_RENAMED.get(operation, operation)}", _KINDS.get(service, service), ""


_RENAMED = {
    # a batch needs the single action
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "GetQueueUrl": "GetQueueUrl",
}
_KINDS = {
    "kinesis": "stream",
    "dynamodb": "table",
    "sqs": "queue",
    "sns": "topic",
    "secretsmanager": "secret",
    "sts": "account",
}


def _of_s3(operation: str, parameters: Mapping[str, Any]) -> Iterator[Asked]:
    version = "Version" if parameters.get("VersionId") else ""
    if operation in _S3_OF_BUCKETS:
        prefix = parameters.get("Prefix")
        listed = f"prefix={_object(prefix).removeprefix('lake/').removesuffix('*')}" if prefix else ""
        yield f"s3:{_S3_OF_BUCKETS[operation]}", "lake", listed
        return
    if operation == "DeleteObjects":
        for each in parameters["Delete"]["Objects"]:
            yield f"s3:DeleteObject{'Version' if each.get('VersionId') else ''}", _object(each["Key"]), ""
        return
    key = _object(parameters["Key"]) if "Key" in parameters else "lake"
    if operation == "CopyObject":
        # tags are copied too, unless the call says otherwise
        source = parameters["CopySource"]
        source_key = source["Key"] if isinstance(source, Mapping) else unquote(source).lstrip("/").partition("/")[2]
        yield "s3:GetObject", _object(source_key), ""
        if parameters.get("TaggingDirective", "COPY") == "COPY":
            yield "s3:GetObjectTagging", _object(source_key), ""
            yield "s3:PutObjectTagging", key, ""
    if operation in ("PutObject", "CompleteMultipartUpload", "DeleteObject") and parameters.get("IfMatch", "*") != "*":
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html and
        # conditional-delete-enforce.html: to compare an etag is to read
        yield "s3:GetObject", key, ""
    if parameters.get("Tagging") and operation in ("PutObject", "CreateMultipartUpload"):
        yield "s3:PutObjectTagging", key, f"tags={parameters['Tagging']}"
    if operation == "PutObjectTagging":
        tags = "&".join(f"{tag['Key']}={tag['Value']}" for tag in parameters["Tagging"]["TagSet"])
        yield "s3:PutObjectTagging", key, f"tags={tags}"
        return
    action = _S3_OF_OBJECTS.get(operation, operation)
    detail = "multipart" if operation in _IN_PARTS else ""
    if operation == "PutObject" and parameters.get("IfNoneMatch") == "*" and key.startswith("lake/raw/"):
        detail = "if-none-match"  # only there does a policy ask for it
    yield f"s3:{action}{version if action in ('GetObject', 'DeleteObject') else ''}", key, detail


_S3_OF_BUCKETS = {
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "GetBucketLocation": "GetBucketLocation",
    "CreateBucket": "CreateBucket",
}
_S3_OF_OBJECTS = {
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "ListParts": "ListMultipartUploadParts",
}

_IN_PARTS = frozenset({"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"})

ZONES = (
    "raw/trades",
    "curated/trades",
    "quarantine/records",
    "quarantine/unreadable",
    "quarantine/oversized",
    "quarantine/parked",
    "quarantine/reopened",
    "quarantine/redriven.json",
    "redrive",
    "checkpoints",
    "failed",
    "aws/lambda",
    "reference",
    "marts",
    "athena-results",
    "dagster-logs",
)


def _object(key: str) -> str:
    """Return the zone that a key lies in; a key outside all of them is named by its first folder."""
    for zone in ZONES:
        if key == zone:
            return f"lake/{zone}"
        if key.startswith(f"{zone}/"):
            return f"lake/{zone}/*"
    first, slash, _ = key.partition("/")
    return f"lake/{first}/*" if slash else f"lake/{first}"


def _of_glue(operation: str, parameters: Mapping[str, Any]) -> Iterator[Asked]:
    """A table's action is asked of catalog, database and table.

    https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
    """
    yield f"glue:{operation}", "catalog", ""
    if operation == "GetDatabases":
        return
    yield f"glue:{operation}", "database", ""
    if "Database" not in operation:
        name = parameters.get("TableName") or parameters.get("Name") or (parameters.get("TableInput") or {}).get("Name")
        yield f"glue:{operation}", f"database/{name if name in TABLES else '*'}", ""


TABLES = frozenset({"raw_trades", "unpublished_trades", "trades", "rejected_records", "corporate_actions"})
"""Those that Terraform makes; all others are dbt's or a compaction's own."""

_KINDS_OF_STATEMENTS = (
    ("unload", r"UNLOAD"),
    ("create-table-as", r"CREATE\s+TABLE\b.*\bAS\b"),
    ("create-table", r"CREATE\s+(EXTERNAL\s+)?TABLE"),
    ("create-view", r"CREATE\s+(OR\s+REPLACE\s+)?VIEW"),
    ("insert", r"(INSERT|MERGE|UPDATE|DELETE)\b"),
    ("drop", r"DROP\b"),
    ("alter", r"ALTER\b"),
    ("optimize", r"OPTIMIZE\b"),
    ("vacuum", r"VACUUM\b"),
    ("describe", r"(SHOW|DESCRIBE|EXPLAIN|MSCK)\b"),
    ("select", r"(SELECT|WITH|VALUES|\()"),
)


def statement_kind(sql: str) -> str:
    bare = re.sub(r"(?s)/\*.*?\*/|--[^\n]*\n", " ", sql).strip()
    for kind, pattern in _KINDS_OF_STATEMENTS:
        if re.match(pattern, bare, re.IGNORECASE | re.DOTALL):
            return kind
    return "other"
