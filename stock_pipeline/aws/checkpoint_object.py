"""A provider's checkpoint as one object of the bucket."""

import json
from dataclasses import dataclass

from stock_pipeline.aws.object_store import ObjectStore


@dataclass(frozen=True)
class CheckpointObject:
    """Checkpoint of one writer at a time (the producer's reserved concurrency is 1); two would only repeat trades."""

    store: ObjectStore
    key: str

    def load(self) -> str | None:
        body = self.store.get_if_there(self.key)
        if body is None:
            return None
        checkpoint: str = json.loads(body)["checkpoint"]
        return checkpoint

    def save(self, checkpoint: str) -> None:
        self.store.put(self.key, json.dumps({"checkpoint": checkpoint}).encode())
