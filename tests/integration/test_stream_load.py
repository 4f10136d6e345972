"""The websocket producer keeps up while PutRecords is slow; `python -m tests.check_stream` is the long form."""

import asyncio

from tests.support.stream_load import Load, carry


def test_a_slow_stream_behind_it_costs_no_connection_and_no_trade() -> None:
    # A call a message would take 500 s.
    outcome = asyncio.run(carry(Load(messages_a_second=500, seconds=2, put_seconds=0.5)))
    assert (outcome.published, outcome.repeated) == (1000, 0)
    assert (outcome.connections, outcome.errors) == (1, [])
    assert outcome.calls <= 100
