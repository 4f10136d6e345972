"""Pauses of the streaming path between tries: short, because an invocation is."""

import random
from collections.abc import Callable

from stock_pipeline.domain.back_off import BackOff

BACK_OFF = BackOff(first_seconds=0.1, longest_seconds=5.0)


def back_off(
    sleep: Callable[[float], None], jitter: random.Random, pauses: BackOff = BACK_OFF
) -> Callable[[int], None]:
    """Return a function that pauses before attempt 1, 2, …"""
    return lambda attempt: sleep(pauses.seconds(attempt, jitter.random))
