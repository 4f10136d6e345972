"""boto3 clients with time-outs and retries that fit their callers. Entrypoints make them and pass them on."""

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_kinesis.client import KinesisClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_secretsmanager.client import SecretsManagerClient
    from mypy_boto3_sqs.client import SQSClient


CONNECT_SECONDS = 2
ANSWER_SECONDS = 5
"""Time-outs of hurried clients: no call of theirs outlasts the two together."""


USER_AGENT = f"stock-pipeline Boto3/{boto3.__version__}"
"""Who calls, in CloudTrail's words. botocore puts its own together anew for each call, a fifth of the CPU."""


class Clients:
    """Clients of one session, each made when first asked for.

    Endpoint and credentials are boto3's (AWS_ENDPOINT_URL, roles, profiles) unless given.
    hurried: each call is tried once and soon given up, because the caller tries again itself and has a deadline.
    """

    def __init__(
        self,
        region: str,
        endpoint: str | None = None,
        credentials: tuple[str, str] | None = None,
        hurried: bool = False,
    ) -> None:
        key_id, secret = credentials or (None, None)
        self._session = boto3.Session(region_name=region, aws_access_key_id=key_id, aws_secret_access_key=secret)
        self._endpoint = endpoint
        self._hurried = hurried
        self._made: dict[str, Any] = {}

    @property
    def kinesis(self) -> "KinesisClient":
        # PutRecords is retried per record; the client's retries would repeat the whole call.
        client: KinesisClient = self._client("kinesis", max_attempts=2, read_seconds=10)
        return client

    @property
    def dynamodb(self) -> "DynamoDBClient":
        # it answers in milliseconds, so a connection that hangs must not use up an invocation. An item is written for
        # each symbol of a batch, and checking its types before sending would be a fifth of the call's CPU
        client: DynamoDBClient = self._client("dynamodb", max_attempts=4, read_seconds=3, checks_types=False)
        return client

    @property
    def s3(self) -> "S3Client":
        client: S3Client = self._client("s3", max_attempts=5)
        return client

    @property
    def sqs(self) -> "SQSClient":
        client: SQSClient = self._client("sqs", max_attempts=4, read_seconds=10)
        return client

    @property
    def secretsmanager(self) -> "SecretsManagerClient":
        client: SecretsManagerClient = self._client("secretsmanager", max_attempts=4)
        return client

    @property
    def glue(self) -> "GlueClient":
        client: GlueClient = self._client("glue", max_attempts=5)
        return client

    @property
    def athena(self) -> Any:
        return self._client("athena", max_attempts=5)

    @property
    def sns(self) -> Any:
        return self._client("sns", max_attempts=5)

    @property
    def cloudwatch(self) -> Any:
        return self._client("cloudwatch", max_attempts=3, read_seconds=10)

    def close(self) -> None:
        """Close every connection."""
        for client in self._made.values():
            client.close()
        self._made.clear()

    def _client(self, service: str, max_attempts: int, read_seconds: int = 30, checks_types: bool = True) -> Any:
        if service not in self._made:
            config = Config(
                connect_timeout=CONNECT_SECONDS if self._hurried else 3,
                read_timeout=ANSWER_SECONDS if self._hurried else read_seconds,
                retries={"mode": "standard", "total_max_attempts": 1 if self._hurried else max_attempts + 1},
                max_pool_connections=32,
                parameter_validation=checks_types,
                user_agent=USER_AGENT,
            )
            self._made[service] = self._session.client(  # type: ignore[call-overload]
                service, config=config, endpoint_url=self._endpoint
            )
        return self._made[service]
