"""SQS dead-letter queue of what can't be processed, with its payload."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.aws.passing_errors import passing_as_retryable
from stock_pipeline.domain.lake_layout import oversized_key
from stock_pipeline.domain.redrive_pace import QueueDepth
from stock_pipeline.errors import RetryableError

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

MESSAGE_BYTES = 256 * 1024
"""Below the limit of one SQS message and of one batch call."""

BATCH_ENTRIES = 10
SEND_ATTEMPTS = 3


@dataclass(frozen=True)
class SqsQueue:
    """Queue of JSON documents. One larger than a message goes into the bucket, and the queue gets its address."""

    client: "SQSClient"
    url: str
    oversized: ObjectStore

    def send(self, documents: Sequence[bytes]) -> None:
        """Send every document.

        Raises `RetryableError` otherwise; some may then have been sent and will be sent twice.
        """
        for batch in _batches([self._body(document) for document in documents]):
            self._send_batch(batch)

    def depth(self) -> QueueDepth:
        """Return the number of messages as SQS counts them (eventually right), by one call."""
        attributes = self.client.get_queue_attributes(
            QueueUrl=self.url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return QueueDepth(
            waiting=int(attributes["ApproximateNumberOfMessages"]),
            hidden=int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        )

    def _body(self, document: bytes) -> str:
        if len(document) <= MESSAGE_BYTES:
            return document.decode()
        key = oversized_key(hashlib.sha256(document).hexdigest())
        self.oversized.put_if_absent(key, document)
        message: dict[str, Any] = json.loads(document)
        small = {name: value for name, value in message.items() if name not in ("payload_base64", "records")}
        return json.dumps(small | {"document": self.oversized.uri(key)})

    def _send_batch(self, bodies: list[str]) -> None:
        pending = {str(index): body for index, body in enumerate(bodies)}
        for _ in range(SEND_ATTEMPTS):
            with passing_as_retryable(f"the queue {self.url}"):
                response = self.client.send_message_batch(
                    QueueUrl=self.url,
                    Entries=[{"Id": entry_id, "MessageBody": body} for entry_id, body in pending.items()],
                )
            failed = {entry["Id"]: entry["Code"] for entry in response.get("Failed", ())}
            pending = {entry_id: body for entry_id, body in pending.items() if entry_id in failed}
            if not pending:
                return
        codes = ", ".join(sorted(set(failed.values())))
        raise RetryableError(f"{len(pending)} messages could not be sent to {self.url} ({codes}); try again")


def _batches(bodies: list[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for body in bodies:
        length = len(body.encode())
        if batch and (len(batch) == BATCH_ENTRIES or size + length > MESSAGE_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += length
    if batch:
        yield batch
