import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from stock_pipeline.state.rows import Kind, Kinds


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_threads_that_number_kinds_agree() -> None:
    kinds = Kinds()
    wanted = [Kind("good", "X", f"{number:04}", "A", "trade") for number in range(2_000)]

    def number_all(thread: int) -> list[int]:
        return [kinds.number(*kind) for kind in (wanted if thread % 2 else wanted[::-1])]

    with ThreadPoolExecutor(8) as pool:
        numbered = list(pool.map(number_all, range(8)))
    assert sorted(kinds.known) == wanted
    for thread, numbers in enumerate(numbered):
        assert [kinds.known[number] for number in numbers] == (wanted if thread % 2 else wanted[::-1])
