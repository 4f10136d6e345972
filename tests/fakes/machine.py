"""A machine on a test's clock, with ids that count and no chance."""

from itertools import count
from uuid import UUID

from stock_pipeline.local.event_source.machine import Machine
from tests.support.clock import Clock


def fake_machine(clock: Clock) -> Machine:
    ids = count(1)
    return Machine(now=clock.now, wait=clock.wait, new_uuid=lambda: UUID(int=next(ids)), jitter=lambda: 0.0)
