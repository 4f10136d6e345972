"""Corporate actions: splits, stock and cash dividends, changes of symbol; and what is learned of them, when.

Vendors revise and withdraw what they have announced. So an action is its content, and what is kept is a log of news: an
action was learned, or withdrawn. A revision is both. What was known at any time follows from the log.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from stock_pipeline.domain.columns import Column
from stock_pipeline.domain.trade import SYMBOL
from stock_pipeline.errors import PermanentError, StockPipelineError


class ActionKind(StrEnum):
    """What happens to the shares of a symbol, or to its name."""

    SPLIT = "split"
    STOCK_DIVIDEND = "stock_dividend"
    CASH_DIVIDEND = "cash_dividend"
    SYMBOL_CHANGE = "symbol_change"


class InvalidActionError(StockPipelineError):
    """A vendor's record is no action: a field is missing, or no share or amount can be so."""


class SuspiciousAnswerError(PermanentError):
    """An answer lacks too much of what is known to be believed."""


SHARES_UNIT = Decimal("0.000000001")
LARGEST = Decimal(10) ** 9
"""Limits of shares and amounts: decimal(18,9)."""


@dataclass(frozen=True, slots=True, order=True)
class CorporateAction:
    """One action. Equal contents are one action, so a vendor's repeat changes nothing.

    symbol: as it was before a change of symbol
    ex_date: first session that trades after it; never the day of payment
    process_date: day by which the vendor's API finds it
    new_symbol: of a change of symbol, else empty
    shares_before, shares_after: of a split or stock dividend, else 0. So many shares became so many.
    cash_amount: of a cash dividend, USD for a share of the session before `ex_date`, else 0
    """

    kind: ActionKind
    symbol: str
    ex_date: date
    process_date: date
    new_symbol: str = ""
    shares_before: Decimal = Decimal(0)
    shares_after: Decimal = Decimal(0)
    cash_amount: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Raise `InvalidActionError` for an action that can't be."""
        self._check_symbol(self.symbol)
        if self.kind is ActionKind.SYMBOL_CHANGE:
            self._check_symbol(self.new_symbol)
            if self.new_symbol == self.symbol:
                raise InvalidActionError(f"{self.symbol} changes to itself")
        elif self.kind is ActionKind.CASH_DIVIDEND:
            self._check_number("cash_amount", self.cash_amount)
        else:
            self._check_number("shares_before", self.shares_before)
            self._check_number("shares_after", self.shares_after)
            if self.shares_before == self.shares_after:
                raise InvalidActionError(f"{self.shares_before} shares of {self.symbol} become as many")

    @staticmethod
    def _check_symbol(symbol: str) -> None:
        if SYMBOL.fullmatch(symbol) is None:
            raise InvalidActionError(f"{symbol[:40]!r} is no ticker symbol")

    def _check_number(self, name: str, number: Decimal) -> None:
        if not number.is_finite() or not 0 < number < LARGEST or number.quantize(SHARES_UNIT) != number:
            raise InvalidActionError(
                f"{name} of {self.symbol} is {number}: it must be above 0, below 10^9 and have at most nine decimals"
            )


FIELDS: tuple[str, ...] = tuple(field.name for field in fields(CorporateAction))

ACTION_COLUMNS: tuple[Column, ...] = (
    Column("kind", "string", "split, stock_dividend, cash_dividend or symbol_change."),
    Column("symbol", "string", "Ticker symbol; the one before a change of symbol."),
    Column("ex_date", "date", "First session that trades after the action."),
    Column("process_date", "date", "Day by which the vendor's API finds the action."),
    Column("new_symbol", "string", "The symbol after a change, else empty."),
    Column("shares_before", "decimal(18,9)", "So many shares become shares_after; 0 where no shares change."),
    Column("shares_after", "decimal(18,9)", "See shares_before."),
    Column("cash_amount", "decimal(18,9)", "USD a share of the session before the ex-date; 0 for no cash dividend."),
    Column("source", "string", "Who said so."),
    Column("learned_at", "timestamp", "When the pipeline learned it, UTC."),
    Column("is_withdrawn", "boolean", "Whether this row says that the action is off."),
)
"""Of the table `corporate_actions`: a row for each piece of news."""


@dataclass(frozen=True, slots=True)
class News:
    """A piece of news: an action was learned, or withdrawn. `learned_at` is UTC."""

    action: CorporateAction
    source: str
    learned_at: datetime
    is_withdrawn: bool

    def row(self) -> dict[str, Any]:
        """Return the values of `ACTION_COLUMNS` by name."""
        values = {name: getattr(self.action, name) for name in FIELDS}
        return values | {
            "source": self.source,
            "learned_at": self.learned_at,
            "is_withdrawn": self.is_withdrawn,
        }


def known_actions(news: Iterable[News], source: str) -> frozenset[CorporateAction]:
    """Return what `source` has announced and not withdrawn, by its latest news of each action."""
    latest: dict[CorporateAction, News] = {}
    for piece in news:
        if piece.source == source and (
            piece.action not in latest or piece.learned_at >= latest[piece.action].learned_at
        ):
            latest[piece.action] = piece
    return frozenset(action for action, piece in latest.items() if not piece.is_withdrawn)


FEWEST_TO_DOUBT = 4


@dataclass(frozen=True, slots=True)
class Question:
    """What a whole answer is about: these symbols, found by process dates of `start` to `end`, inclusive.

    A change of symbol is about both.
    """

    symbols: frozenset[str]
    start: date
    end: date

    def covers(self, action: CorporateAction) -> bool:
        return self.start <= action.process_date <= self.end and bool(self.symbols & {action.symbol, action.new_symbol})


def news_of(
    answer: Iterable[CorporateAction],
    question: Question,
    known: frozenset[CorporateAction],
    source: str,
    learned_at: datetime,
) -> list[News]:
    """Return what a whole answer adds to what is known: new actions, and those that it no longer has.

    Raises `SuspiciousAnswerError` if it lacks more than half of at least four actions that it should have: an API that
    answers with little must not undo years of splits.
    """
    answered = frozenset(answer)
    expected = {action for action in known if question.covers(action)}
    missing = expected - answered
    if len(expected) >= FEWEST_TO_DOUBT and 2 * len(missing) > len(expected):
        raise SuspiciousAnswerError(
            f"{source} answered without {len(missing)} of {len(expected)} known actions, so nothing was changed: "
            "look at its answer, and take actions away by rows of the seed corporate_action_overrides"
        )
    return [
        *(News(action, source, learned_at, False) for action in sorted(answered - known)),
        *(News(action, source, learned_at, True) for action in sorted(missing)),
    ]


def names_of_history(symbols: Iterable[str], changes: Iterable[CorporateAction]) -> frozenset[str]:
    """Return the symbols and all names that they had before or have got since."""
    names = set(symbols)
    pairs = [(change.symbol, change.new_symbol) for change in changes if change.kind is ActionKind.SYMBOL_CHANGE]
    while True:
        more = {name for pair in pairs if names.intersection(pair) for name in pair} - names
        if not more:
            return frozenset(names)
        names |= more
