"""Trades, corrections and cancels give one answer, in any paging, rhythm of polls and order, by REST and by stream."""

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stock_pipeline.domain.moving_average import merge
from stock_pipeline.domain.trade import Trade, is_effective
from stock_pipeline.providers.alpaca.message import Amendment, MessageReader
from stock_pipeline.providers.alpaca.trade import read_rows
from stock_pipeline.providers.client.http import HttpAnswer
from stock_pipeline.providers.timestamps import format_rfc3339_ns, parse_rfc3339_ns
from tests.support.clock import SECOND, Clock
from tests.support.provider_fakes import alpaca_over, credentials, deadline, query_of

Answer = set[tuple[int, Decimal]]


@dataclass
class Row:
    number: int
    ns: int
    price: int
    u: str | None = None
    condition: str = "@"

    def wire(self) -> dict[str, Any]:
        row = {"t": format_rfc3339_ns(self.ns), "x": "V", "p": self.price, "s": 100, "i": self.number, "z": "C"}
        row["c"] = [self.condition]
        return row if self.u is None else {**row, "u": self.u}


@dataclass
class Tape:
    """One symbol's trades as REST shows them now, and the messages that the stream has sent."""

    clock: Clock
    page: int
    rows: list[Row] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def get(self, target: str, headers: Mapping[str, str], deadline_ns: int) -> HttpAnswer:
        asked = query_of(target)
        first, last = parse_rfc3339_ns(asked["start"]), parse_rfc3339_ns(asked["end"])
        rows = [row.wire() for row in sorted(self.rows, key=lambda r: (r.ns, r.number)) if first <= row.ns <= last]
        begin = int(asked.get("page_token", "0"))
        token = str(begin + self.page) if begin + self.page < len(rows) else None
        body = {"trades": {"A": rows[begin : begin + self.page]}, "next_page_token": token}
        return HttpAnswer(200, {}, json.dumps(body).encode())

    @property
    def answer(self) -> Answer:
        return {(row.number, Decimal(row.price)) for row in self.rows if row.u in (None, "corrected")}

    def happen(self, data: st.DataObject, number: int) -> None:
        """Let a trade be made, or one that stands be corrected or cancelled."""
        standing = [row for row in self.rows if row.u in (None, "corrected")]
        kinds = ["trade", "correct", "correct in place", "correct conditions in place", "cancel"]
        what = data.draw(st.sampled_from(kinds)) if standing else "trade"
        # Each content once: a correction back to an earlier one under one number can't be told from the earlier one.
        row = Row(number, self.clock.ns, number + 1)
        if what == "trade":
            self.messages.append({"T": "t", "S": "A", **row.wire()})
            self.rows.append(row)
            return
        old = data.draw(st.sampled_from(standing))
        if what == "cancel":
            self.messages.append({"T": "x", "S": "A", **old.wire(), "t": format_rfc3339_ns(self.clock.ns), "a": "C"})
            old.u = "canceled"
            return
        if what == "correct in place":
            row = Row(old.number, old.ns, row.price)
        if what == "correct conditions in place":
            row = Row(old.number, old.ns, old.price, condition=chr(ord("A") + number))
        self.messages.append(
            {
                **{"T": "c", "S": "A", "x": "V", "z": "C", "t": format_rfc3339_ns(self.clock.ns)},
                **{"oi": old.number, "op": old.price, "os": 100, "oc": [old.condition]},
                **{"ci": row.number, "cp": row.price, "cs": 100, "cc": [row.condition]},
            }
        )
        old.u, row.u = "incorrect", "corrected"
        self.rows.append(row)


def answer_of(rows: Iterable[Trade], chance: random.Random) -> Answer:
    """What stands after the rows arrived in some order, in batches, some of them twice."""
    arriving = list(rows)
    arriving += chance.choices(arriving, k=len(arriving) // 3) if arriving else []
    chance.shuffle(arriving)
    window: tuple[Trade, ...] = ()
    while arriving:
        size = chance.randint(1, 5)
        window, arriving = merge(window, arriving[:size], 10_000), arriving[size:]
    standing = [row for row in window if is_effective(row)]
    assert len(standing) == len({row.sequence for row in standing})
    return {(row.sequence, row.price) for row in standing}


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_paging_and_rhythm_of_polls_and_any_order_give_what_the_tape_says(data: st.DataObject) -> None:
    clock = Clock()
    tape = Tape(clock, data.draw(st.integers(1, 6)))
    options = {"overlap_seconds": 10**5, "look_back_seconds": data.draw(st.sampled_from([0, 100]))}
    provider = alpaca_over(tape, clock, ("A",), **options)
    checkpoint: str | None = None
    rows: list[Trade] = []
    for number in range(data.draw(st.integers(1, 25))):
        clock.ns += data.draw(st.integers(0, 30)) * SECOND
        tape.happen(data, number)
        for _ in range(data.draw(st.sampled_from([0, 0, 1, 2]))):
            if data.draw(st.booleans()):
                provider = alpaca_over(tape, clock, ("A",), **options)
            for capture in provider.poll(checkpoint, deadline(clock)):
                if data.draw(st.integers(0, 5)) == 0:
                    break  # publishing failed
                checkpoint = capture.checkpoint
                rows += capture.trades
    for _ in range(2):
        clock.ns += 100 * SECOND
        for capture in provider.poll(checkpoint, deadline(clock)):
            checkpoint = capture.checkpoint
            rows += capture.trades
    assert answer_of(rows, random.Random(data.draw(st.integers(0, 99)))) == tape.answer


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_stream_gives_the_same_answer_alone_restarted_and_beside_rest(data: st.DataObject) -> None:
    clock = Clock()
    tape = Tape(clock, 10)
    reader = MessageReader("iex", credentials(), clock.now_ns, data.draw(st.integers(1, 30)))
    rows: list[Trade] = []
    for number in range(data.draw(st.integers(1, 25))):
        clock.ns += data.draw(st.integers(0, 30)) * SECOND
        tape.happen(data, number)
        if data.draw(st.integers(0, 5)) == 0:
            reader = MessageReader("iex", credentials(), clock.now_ns)
        batch = reader.read(json.dumps([tape.messages[-1]]).encode())
        assert batch.unreadable == ()
        rows += batch.trades
        for amendment in batch.unsettled:
            rows += reader.settled(amendment, original_in(tape, amendment)) or []
    chance = random.Random(data.draw(st.integers(0, 99)))
    assert answer_of(rows, chance) == tape.answer
    by_rest = [row for one in tape.rows for row in read_rows(json.dumps(one.wire()).encode(), "A", "iex", 1)]
    assert answer_of([*rows, *by_rest], chance) == tape.answer


def original_in(tape: Tape, amendment: Amendment) -> Trade:
    """The original as REST shows it."""
    said = amendment.said
    content = (amendment.number, said.price, said.conditions)
    (one,) = [row for row in tape.rows if (row.number, row.price, row.condition) == content]
    (trade,) = read_rows(json.dumps({**one.wire(), "u": None}).encode(), "A", "iex", 1)
    return trade
