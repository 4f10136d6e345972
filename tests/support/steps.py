"""What a check prints: a line a step, with its seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print the text and the seconds once the step has succeeded."""
    started = time.monotonic()
    yield
    print(f"  ✓ {text:<78}{time.monotonic() - started:7.1f} s", flush=True)
