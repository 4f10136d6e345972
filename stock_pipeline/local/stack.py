"""The local stack: AWS services on loopback with the pipeline's stream, bucket, table, queue and catalog.

Its users get an environment, as processes in an account do. `infra/` deploys to an account.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property

from stock_pipeline.aws.clients import Clients
from stock_pipeline.errors import StockPipelineError
from stock_pipeline.extras import require
from stock_pipeline.project_files import IS_INSTALLED, dbt_output
from stock_pipeline.settings import SETTINGS, Settings
from stock_pipeline.wiring import Wiring

SHARDS = 2
LOOPBACK = "127.0.0.1"

_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
"""moto takes any. They are set so that real credentials are never used by mistake."""


@dataclass(frozen=True)
class LocalStack:
    """A running stack.

    environ: what processes that use it need in their environment.
    """

    endpoint: str
    environ: Mapping[str, str]
    settings: Settings
    clients: Clients

    @cached_property
    def wiring(self) -> Wiring:
        return Wiring(self.settings, self.clients)


def loopback_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without what leads boto3 away from loopback: profiles, endpoints of services, a proxy.

    An entrypoint makes the result its own, because boto3 reads the environment even if it is given an endpoint.
    """
    kept = {name: value for name, value in environ.items() if name == "AWS_REGION" or not name.startswith("AWS_")}
    direct = environ.get("no_proxy") or environ.get("NO_PROXY")
    no_proxy = f"{direct},{LOOPBACK}" if direct else LOOPBACK
    # the default profile may name endpoints, too
    return kept | {
        "no_proxy": no_proxy,
        "NO_PROXY": no_proxy,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextmanager
def local_stack(environ: Mapping[str, str]) -> Iterator[LocalStack]:
    """Start the services, create the resources that `environ` names, and stop everything at the end."""
    with aws_services() as endpoint, stack_at(endpoint, environ) as stack:
        yield stack


@contextmanager
def stack_at(endpoint: str, environ: Mapping[str, str]) -> Iterator[LocalStack]:
    """Create the resources that `environ` names on services that run and have nothing."""
    local = {
        # every setting by name, as Terraform sets them for the functions
        **{setting.variable: setting.default for setting in SETTINGS if setting.default is not None},
        # sessions of any year are replayed here
        "STATE_TTL_DAYS": "36500",
        **loopback_environment(environ),
        **_CREDENTIALS,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "DBT_TARGET": "local",
        # of an installed package dbt may not write beside the models
        **({"DBT_TARGET_PATH": os.fspath(dbt_output())} if IS_INSTALLED else {}),
    }
    settings = Settings.from_env(local)
    local["AWS_REGION"] = local["AWS_DEFAULT_REGION"] = settings.aws_region
    clients = Clients(settings.aws_region, endpoint=endpoint, credentials=("local", "local"))
    with closing(clients):
        local["DEAD_LETTER_QUEUE_URL"] = create_resources(clients, settings)
        yield LocalStack(endpoint, local, Settings.from_env(local), clients)


@contextmanager
def aws_services() -> Iterator[str]:
    """Start a moto server, yield its address, and stop it at the end."""
    # said here, because its process can't
    require("moto")
    process = subprocess.Popen(
        [sys.executable, "-m", "stock_pipeline.local.moto_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # its own session: Ctrl-C reaches only the parent, which then stops it in order
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        if not endpoint:
            raise StockPipelineError(
                f"the local AWS services did not start; run {sys.executable} -m stock_pipeline.local.moto_process "
                "to see why"
            )
        yield endpoint
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def create_resources(clients: Clients, settings: Settings) -> str:
    """Create stream, bucket, table, queue and catalog; return the queue's URL."""
    clients.kinesis.create_stream(StreamName=settings.stream_name, ShardCount=SHARDS)
    clients.kinesis.get_waiter("stream_exists").wait(
        StreamName=settings.stream_name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    if settings.aws_region == "us-east-1":
        clients.s3.create_bucket(Bucket=settings.bucket_name)
    else:
        # S3 wants the region named, except for its first one
        clients.s3.create_bucket(
            Bucket=settings.bucket_name,
            CreateBucketConfiguration={"LocationConstraint": settings.aws_region},  # type: ignore[typeddict-item]
        )
    clients.dynamodb.create_table(
        TableName=settings.state_table_name,
        KeySchema=[
            {"AttributeName": "symbol", "KeyType": "HASH"},
            {"AttributeName": "feed", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "symbol", "AttributeType": "S"},
            {"AttributeName": "feed", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    Wiring(settings, clients).catalog.create()
    queue = clients.sqs.create_queue(
        QueueName=f"{settings.project_name}-{settings.environment}-dead-letter",
        Attributes={"MessageRetentionPeriod": str(14 * 86_400)},
    )
    return queue["QueueUrl"]
