"""An SQS queue in memory that does what moto does not: messages get out of hand, and answers may be empty."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.faults import client_error


@dataclass
class Message:
    message_id: str
    body: str
    sent_at_ns: int
    visible_at_ns: int = 0
    receipt: str = ""
    deliveries: int = 0


@dataclass
class TimedSqsClient:
    """One queue. A receipt is good for as long as its message is hidden.

    empty_answers: numbers, from 0, of the receives that answer nothing.
    """

    now_ns: Callable[[], int]
    empty_answers: frozenset[int] = frozenset()
    messages: dict[str, Message] = field(default_factory=dict)
    receives: list[dict[str, Any]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def bodies(self) -> list[str]:
        return [message.body for message in self.messages.values()]

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> dict[str, Any]:
        message_id = f"message-{next(self._numbers):04}"
        self.messages[message_id] = Message(message_id, MessageBody, self.now_ns())
        return {"MessageId": message_id}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        for entry in Entries:
            self.send_message(QueueUrl=QueueUrl, MessageBody=entry["MessageBody"])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def receive_message(self, *, MaxNumberOfMessages: int, VisibilityTimeout: int, **options: Any) -> dict[str, Any]:
        self.receives.append(options)
        if len(self.receives) - 1 in self.empty_answers:
            return {}
        visible = [message for message in self.messages.values() if message.visible_at_ns <= self.now_ns()]
        chosen = visible[:MaxNumberOfMessages]
        for message in chosen:
            message.receipt = f"receipt-{next(self._numbers):04}"
            message.deliveries += 1
            message.visible_at_ns = self.now_ns() + VisibilityTimeout * 10**9
        return {"Messages": [_answer(message) for message in chosen]} if chosen else {}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:
        del self.messages[self._in_hand(ReceiptHandle, "DeleteMessage", "ReceiptHandleIsInvalid").message_id]

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        message = self._in_hand(ReceiptHandle, "ChangeMessageVisibility", "MessageNotInflight")
        message.visible_at_ns = self.now_ns() + VisibilityTimeout * 10**9

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        hidden = sum(message.visible_at_ns > self.now_ns() for message in self.messages.values())
        counts = {
            "ApproximateNumberOfMessages": str(len(self.messages) - hidden),
            "ApproximateNumberOfMessagesNotVisible": str(hidden),
        }
        return {"Attributes": counts}

    def in_flight(self) -> int:
        return sum(message.visible_at_ns > self.now_ns() for message in self.messages.values())

    def _in_hand(self, receipt: str, operation: str, code: str) -> Message:
        for message in self.messages.values():
            if message.receipt == receipt and message.visible_at_ns > self.now_ns():
                return message
        raise client_error(operation, code)


def _answer(message: Message) -> dict[str, Any]:
    attributes = {
        "ApproximateReceiveCount": str(message.deliveries),
        "SentTimestamp": str(message.sent_at_ns // 10**6),
    }
    return {
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "Attributes": attributes,
    }
