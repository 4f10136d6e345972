"""Pauses between tries: exponential, with full jitter, so that those who failed together don't return together."""

import random
from collections.abc import Callable


def back_off(
    sleep: Callable[[float], None],
    jitter: random.Random,
    base_seconds: float = 0.05,
    cap_seconds: float = 5.0,
) -> Callable[[int], None]:
    """A function that pauses before attempt 1, 2, …: between nothing and base * 2^attempt seconds, at most the cap."""

    def wait(attempt: int) -> None:
        sleep(jitter.uniform(0, min(cap_seconds, base_seconds * 2**attempt)))

    return wait
