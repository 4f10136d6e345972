"""Messages received from the dead-letter queue for redrive, to be deleted or released."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.passing_errors import passing_as_retryable
from stock_pipeline.domain.redrive_plan import QueueMessage

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

VISIBILITY_SECONDS = 300
"""A received message is hidden from other runs so long, and longer while `keep_hidden` is called."""

RETRY_SECONDS = 900
"""Time before a message that was left is tried again, because it must not keep others waiting."""

WAIT_SECONDS = 2
"""Without waiting SQS asks only some of its servers, and may answer that a queue of few messages is empty."""


@dataclass(frozen=True)
class SqsReceived:
    """Message in hand."""

    queue: "SqsRedriveQueue"
    receipt: str
    message: QueueMessage

    def delete(self) -> None:
        self.queue.out_of_hand(self.receipt)
        self.queue.client.delete_message(QueueUrl=self.queue.url, ReceiptHandle=self.receipt)

    def release(self) -> None:
        self._hide_for(RETRY_SECONDS)

    def put_back(self) -> None:
        self._hide_for(0)

    def _hide_for(self, seconds: int) -> None:
        self.queue.out_of_hand(self.receipt)
        self.queue.hide(self.receipt, seconds)


@dataclass(frozen=True)
class SqsRedriveQueue:
    """Dead-letter queue as redrive uses it.

    now_ns: nanoseconds of any clock.
    """

    queue: SqsQueue
    now_ns: Callable[[], int] = time.monotonic_ns
    _hidden_until_ns: dict[str, int] = field(default_factory=dict)

    @property
    def client(self) -> "SQSClient":
        return self.queue.client

    @property
    def url(self) -> str:
        return self.queue.url

    def receive(self, limit: int) -> Sequence[SqsReceived]:
        """Return up to ten messages that no other run has in hand. Raises `RetryableError` while SQS is away."""
        self.keep_hidden()
        until_ns = self._in(VISIBILITY_SECONDS)
        with passing_as_retryable(f"the queue {self.url}"):
            received = self.client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=min(10, limit),
                VisibilityTimeout=VISIBILITY_SECONDS,
                WaitTimeSeconds=WAIT_SECONDS,
                AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            ).get("Messages", [])
        self._hidden_until_ns.update({entry["ReceiptHandle"]: until_ns for entry in received})
        return [
            SqsReceived(
                self,
                entry["ReceiptHandle"],
                QueueMessage(
                    message_id=entry["MessageId"],
                    body=entry["Body"],
                    deliveries=int(entry["Attributes"]["ApproximateReceiveCount"]),
                    sent_at=int(entry["Attributes"]["SentTimestamp"]) / 1000,
                ),
            )
            for entry in received
        ]

    def send(self, documents: Sequence[bytes]) -> None:
        self.queue.send(documents)

    def keep_hidden(self) -> None:
        """Hide messages in hand for longer, if half of their time is over. Whoever waits calls this."""
        half_ns = self._in(VISIBILITY_SECONDS // 2)
        for receipt in [receipt for receipt, until_ns in self._hidden_until_ns.items() if until_ns < half_ns]:
            until_ns = self._in(VISIBILITY_SECONDS)
            try:
                self.hide(receipt, VISIBILITY_SECONDS)
            except (ClientError, BotoCoreError):
                # what is done with the message next says so, and is counted as the message's
                self.out_of_hand(receipt)
            else:
                self._hidden_until_ns[receipt] = until_ns

    def hide(self, receipt: str, seconds: int) -> None:
        self.client.change_message_visibility(QueueUrl=self.url, ReceiptHandle=receipt, VisibilityTimeout=seconds)

    def out_of_hand(self, receipt: str) -> None:
        self._hidden_until_ns.pop(receipt, None)

    def _in(self, seconds: int) -> int:
        return self.now_ns() + seconds * 10**9
