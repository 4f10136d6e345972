"""A poller on a stream in memory, with a handler, a destination and a clock that the test moves."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from stock_pipeline.domain.back_off import BackOff
from stock_pipeline.local.event_source.failure_destination import FailedBatch
from stock_pipeline.local.event_source.function_runtime import Invocation, LocalFunction
from stock_pipeline.local.event_source.mapping import EventSourceMapping, lane_number
from stock_pipeline.local.event_source.observer import SilentObserver
from stock_pipeline.local.event_source.poller import EventSourcePoller, mapping_uuid
from stock_pipeline.local.event_source.shard_consumer import PollerWiring
from tests.fakes.kinesis import STREAM_ARN, FakeKinesis
from tests.fakes.machine import fake_machine
from tests.support.clock import START, Clock
from tests.support.stream_batches import FUNCTION_ARN, MAPPING, SOURCE

UUID = mapping_uuid(STREAM_ARN, FUNCTION_ARN)


@dataclass
class FakeDestination:
    """Keeps what it gets; `failing` deliveries fail first."""

    failing: int = 0
    failed: list[FailedBatch] = field(default_factory=list)

    def deliver(self, failed: FailedBatch) -> None:
        if self.failing:
            self.failing -= 1
            raise ConnectionError("no bucket")
        self.failed.append(failed)

    @property
    def last_invocation(self) -> Invocation:
        """The one after which the last batch was given up."""
        invocation = self.failed[-1].batch.last_invocation
        assert invocation
        return invocation

    @property
    def data(self) -> list[list[str]]:
        return [[record.data.decode() for record in failed.batch.records] for failed in self.failed]


class Checkpoints(dict[str, str]):
    """Checkpoints that only move forward."""

    def __setitem__(self, shard_id: str, sequence_number: str) -> None:
        assert int(sequence_number) > int(self.get(shard_id, "0"))
        super().__setitem__(shard_id, sequence_number)


Answer = Callable[[list[str]], Any]


@dataclass
class Scene:
    """A poller with everything around it. `answer` is the handler, which gets the records' data as text."""

    answer: Answer = lambda texts: None
    mapping: EventSourceMapping = MAPPING
    clock: Clock = field(default_factory=Clock)
    shards: int = 1
    destination: FakeDestination = field(default_factory=FakeDestination)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    observer: SilentObserver = field(default_factory=SilentObserver)
    batches: list[list[str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kinesis = FakeKinesis(self.shards, self.clock.now)
        self.machine = fake_machine(self.clock)
        self.sequence_numbers: dict[str, str] = {}
        self.poller = self.new_poller()

    def new_poller(self) -> EventSourcePoller:
        return EventSourcePoller(
            PollerWiring(
                kinesis=self.kinesis,
                function=LocalFunction(self._handle, FUNCTION_ARN),
                destination=self.destination,
                mapping=self.mapping,
                source=SOURCE,
                mapping_uuid=UUID,
                machine=self.machine,
                checkpoints=self.checkpoints,
                back_off=BackOff(1, 60, certain_share=0.5),
                observer=self.observer,
            )
        )

    def put(self, *texts: str, key: str = "k") -> None:
        for text in texts:
            _, self.sequence_numbers[text] = self.kinesis.put(key, text.encode())

    def failing(self, *texts: str) -> dict[str, Any]:
        return {"batchItemFailures": [{"itemIdentifier": self.sequence_numbers[text]} for text in texts]}

    def _handle(self, event: dict[str, Any], context: Any) -> Any:
        texts = [base64.b64decode(r["kinesis"]["data"]).decode() for r in event["Records"]]
        self.batches.append(texts)
        self.times.append((self.clock.now() - START).total_seconds())
        return self.answer(texts)


def with_mapping(**changes: Any) -> EventSourceMapping:
    return replace(MAPPING, **changes)


def fail_if(bad: str) -> Answer:
    def answer(texts: list[str]) -> None:
        if bad in texts:
            raise ValueError(f"{bad} is bad")

    return answer


def keys_of_lanes(mapping: EventSourceMapping) -> dict[int, str]:
    return {lane_number(mapping, str(bucket)): str(bucket) for bucket in range(200)}
