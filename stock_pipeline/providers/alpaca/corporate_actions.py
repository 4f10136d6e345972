"""Corporate actions from Alpaca's `GET /v1/corporate-actions` (https://docs.alpaca.markets/reference/corporateactions-1).

`start` and `end` filter by the process date, which may lie weeks after the ex-date: so ask for years, not for days.
Splits keep their ex-date, because they may be payable a day before it. Mergers, spin-offs, unit splits and the like
change more than one share into others; they are counted, not taken.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec

from stock_pipeline.domain.corporate_action import (
    ActionKind,
    CorporateAction,
    InvalidActionError,
    Question,
    names_of_history,
)
from stock_pipeline.providers.client.api_client import ApiClient
from stock_pipeline.providers.client.http import UnexpectedAnswerError

SOURCE = "alpaca"
PAGE_LIMIT = 1000
SYMBOLS_A_CALL = 100
_EXCERPT = 200


@dataclass(slots=True)
class ActionsAnswer:
    """A whole answer.

    question: what it is about; an action that it covers and that is not in `actions` is no longer announced. A symbol
        with an unreadable record is not in it, for that record may be an action that is known.
    unreadable: records that are no action, as `reason: record`
    not_taken: number of records by Alpaca's name of a kind that changes more than these tables hold
    """

    question: Question
    actions: list[CorporateAction] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    not_taken: Counter[str] = field(default_factory=Counter)
    _unread: list[tuple[frozenset[str], str]] = field(default_factory=list)

    def refuse(self, symbols: frozenset[str], reason: str) -> None:
        """Note an unreadable record. symbols: those that it may be about; none for any."""
        self._unread.append((symbols, reason))

    def narrow(self, names: frozenset[str]) -> None:
        """Leave out what is about other symbols only."""
        self.actions = [action for action in self.actions if names & {action.symbol, action.new_symbol}]
        unread = [(symbols or names, record) for symbols, record in self._unread if not symbols or names & symbols]
        self.unreadable = [record for _, record in unread]
        whole = names.difference(*(symbols for symbols, _ in unread))
        self.question = Question(whole, self.question.start, self.question.end)


class AlpacaCorporateActions:
    """Reader of the corporate actions of some symbols and of the names that they had or got."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def read(self, symbols: Sequence[str], start: date, end: date, deadline_ns: int) -> ActionsAnswer:
        """Return every action of process dates `start` to `end`, inclusive.

        Changes of symbol are asked for all symbols first: who was renamed is found under another name.
        Raises what `ApiClient.get` raises; half an answer is none.
        """
        answer = ActionsAnswer(Question(frozenset(symbols), start, end))
        self._read_into(answer, {"types": "name_change"}, start, end, deadline_ns)
        names = names_of_history(symbols, answer.actions)
        for some in _batches(sorted(names), SYMBOLS_A_CALL):
            self._read_into(answer, {"types": _TYPES, "symbols": ",".join(some)}, start, end, deadline_ns)
        answer.narrow(names)
        return answer

    def _read_into(
        self, answer: ActionsAnswer, question: dict[str, str], start: date, end: date, deadline_ns: int
    ) -> None:
        parameters = question | {"start": start.isoformat(), "end": end.isoformat(), "limit": str(PAGE_LIMIT)}
        tokens: set[str] = set()
        asked = frozenset(question["symbols"].split(",")) if "symbols" in question else None
        while True:
            page = self._client.get("/v1/corporate-actions?" + urlencode(parameters), deadline_ns, _read_page)
            for name, pieces in page.corporate_actions.items():
                self._read_pieces(answer, name, pieces or [], asked)
            token = page.next_page_token
            if not token:
                return
            if token in tokens:
                raise UnexpectedAnswerError("alpaca names the same next page twice: its pages would never end")
            tokens.add(token)
            parameters["page_token"] = token

    def _read_pieces(
        self, answer: ActionsAnswer, name: str, pieces: list[msgspec.Raw], asked: frozenset[str] | None
    ) -> None:
        read = _READERS.get(name)
        if read is None:
            answer.not_taken[name] += len(pieces)
            return
        for piece in pieces:
            try:
                action = read(bytes(piece))
            except (InvalidActionError, msgspec.DecodeError, ValueError, ArithmeticError) as error:
                record = self._client.credentials.redact(bytes(piece).decode("utf-8", "replace"))
                answer.refuse(_symbols(bytes(piece), asked), f"{name}: {error}: {record[:_EXCERPT]}")
                continue
            if action is not None:
                answer.actions.append(action)


def _symbols(piece: bytes, asked: frozenset[str] | None) -> frozenset[str]:
    """Return the symbols of a record that is no action; none if they can't be read, or none of them was asked for.

    asked: None for all there are.
    """
    try:
        record = msgspec.json.decode(piece, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return frozenset()
    symbols = [record[name] for name in ("symbol", "old_symbol", "new_symbol") if name in record]
    if not all(isinstance(symbol, str) for symbol in symbols):
        return frozenset()
    return frozenset(symbols) if asked is None else asked.intersection(symbols)


class _Page(msgspec.Struct):
    corporate_actions: dict[str, list[msgspec.Raw] | None]
    next_page_token: str | None = None


class _Split(msgspec.Struct):
    symbol: str
    old_rate: Decimal
    new_rate: Decimal
    ex_date: date
    process_date: date | None = None


class _Dividend(msgspec.Struct):
    symbol: str
    rate: Decimal
    ex_date: date
    process_date: date | None = None


class _NameChange(msgspec.Struct):
    old_symbol: str
    new_symbol: str
    process_date: date


def _read_page(body: bytes) -> _Page:
    try:
        return msgspec.json.decode(body, type=_Page)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnexpectedAnswerError(f"without a page of corporate actions: {error}") from None


def _split(piece: bytes) -> CorporateAction:
    record = msgspec.json.decode(piece, type=_Split)
    return CorporateAction(
        ActionKind.SPLIT,
        record.symbol,
        record.ex_date,
        record.process_date or record.ex_date,
        shares_before=record.old_rate.normalize(),
        shares_after=record.new_rate.normalize(),
    )


def _stock_dividend(piece: bytes) -> CorporateAction:
    record = msgspec.json.decode(piece, type=_Dividend)
    return CorporateAction(
        ActionKind.STOCK_DIVIDEND,
        record.symbol,
        record.ex_date,
        record.process_date or record.ex_date,
        shares_before=Decimal(1),
        shares_after=(1 + record.rate).normalize(),
    )


def _cash_dividend(piece: bytes) -> CorporateAction:
    record = msgspec.json.decode(piece, type=_Dividend)
    return CorporateAction(
        ActionKind.CASH_DIVIDEND,
        record.symbol,
        record.ex_date,
        record.process_date or record.ex_date,
        cash_amount=record.rate.normalize(),
    )


def _name_change(piece: bytes) -> CorporateAction | None:
    record = msgspec.json.decode(piece, type=_NameChange)
    if record.old_symbol == record.new_symbol:
        return None  # a new CUSIP or a new name of the company
    return CorporateAction(
        ActionKind.SYMBOL_CHANGE,
        record.old_symbol,
        record.process_date,
        record.process_date,
        new_symbol=record.new_symbol,
    )


_READERS: dict[str, Callable[[bytes], CorporateAction | None]] = {
    "forward_splits": _split,
    "reverse_splits": _split,
    "stock_dividends": _stock_dividend,
    "cash_dividends": _cash_dividend,
    "name_changes": _name_change,
}

_TYPES = "forward_split,reverse_split,stock_dividend,cash_dividend,unit_split,spin_off,cash_merger,stock_merger"
"""Those that are not taken are asked for, so that an operator sees that there are some."""


def _batches(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]
