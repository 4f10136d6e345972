"""The clients with which the contract tests reach the emulator, and what they make there.

In these tests `fake` stands in an adapter's place, `fake client` in that of the boto3 client below the real adapter,
and `moto` is the real adapter on the emulator.
"""

import uuid

from stock_pipeline.aws.clients import Clients


def local_clients(endpoint: str) -> Clients:
    return Clients("us-east-1", endpoint=endpoint, credentials=("local", "local"))


def new_bucket(clients: Clients) -> str:
    name = f"bucket-{uuid.uuid4()}"
    clients.s3.create_bucket(Bucket=name)
    return name
