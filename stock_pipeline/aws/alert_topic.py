"""SNS topic of the alarms. What is worth telling is decided elsewhere."""

from dataclasses import dataclass
from typing import Any

SUBJECT_CHARACTERS = 99
"""SNS refuses a subject of a hundred characters."""


@dataclass(frozen=True)
class AlertTopic:
    client: Any
    arn: str

    def send(self, subject: str, message: str) -> None:
        # SNS takes printable ASCII only, without line breaks
        line = " ".join(subject.split()).encode("ascii", "replace").decode()
        self.client.publish(TopicArn=self.arn, Subject=line[:SUBJECT_CHARACTERS], Message=message[:200_000])
