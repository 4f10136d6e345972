"""Messages received from the dead-letter queue for redrive, to be deleted or released."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.domain.redrive_plan import QueueMessage

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

VISIBILITY_SECONDS = 300
"""A received message is hidden from other runs for longer than a run takes with ten messages."""

RETRY_SECONDS = 900
"""Time before a message that was left is tried again, because it must not keep others waiting."""


@dataclass(frozen=True)
class SqsReceived:
    """Message in hand."""

    client: "SQSClient"
    url: str
    receipt: str
    message: QueueMessage

    def delete(self) -> None:
        self.client.delete_message(QueueUrl=self.url, ReceiptHandle=self.receipt)

    def release(self) -> None:
        self._hide_for(RETRY_SECONDS)

    def put_back(self) -> None:
        self._hide_for(0)

    def _hide_for(self, seconds: int) -> None:
        self.client.change_message_visibility(QueueUrl=self.url, ReceiptHandle=self.receipt, VisibilityTimeout=seconds)


@dataclass(frozen=True)
class SqsRedriveQueue:
    """Dead-letter queue as redrive uses it."""

    queue: SqsQueue

    def receive(self, limit: int) -> Sequence[SqsReceived]:
        """Return up to ten messages that no other run has in hand."""
        received = self.queue.client.receive_message(
            QueueUrl=self.queue.url,
            MaxNumberOfMessages=min(10, limit),
            VisibilityTimeout=VISIBILITY_SECONDS,
            AttributeNames=["ApproximateReceiveCount"],
        ).get("Messages", [])
        return [
            SqsReceived(
                self.queue.client,
                self.queue.url,
                entry["ReceiptHandle"],
                QueueMessage(entry["MessageId"], entry["Body"], int(entry["Attributes"]["ApproximateReceiveCount"])),
            )
            for entry in received
        ]

    def send(self, documents: Sequence[bytes]) -> None:
        self.queue.send(documents)
