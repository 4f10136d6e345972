"""Reads a file of price alert rules (TOML). A rule that can't be used is an error that names it and says what it takes.

Every number is read as it is written, exact.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, Inexact
from typing import Any

from stock_pipeline.domain.price_alert import UNIT, Condition, Level, Move, Rule, Silence, Volume
from stock_pipeline.domain.trade import FEED, MAX_PRICE, SYMBOL
from stock_pipeline.errors import InputFileError

MOST_WATCHED = 500
"""Symbols of all rules together: what is watched is looked through at each change."""

MOST_BYTES = 256 * 1024
MOST_MINUTES = 390
MOST_MULTIPLE = 10_000
FURTHEST = timedelta(days=366)
"""A rule that begins later is taken for a misprint of the year."""

NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"
_LONGEST_NAME = 64
_PLACES = 6
_EXACT = Context(prec=40, traps=[Inexact])

MOVES = {"moves_percent": (True, True), "rises_percent": (True, False), "falls_percent": (False, True)}
LEVELS = {"above": True, "below": False}
KINDS = (*LEVELS, *MOVES, "volume_times", "no_trade_minutes")
_COMMON = ("name", "symbol", "feed", "first", "last")
_ALLOWED = {
    **dict.fromkeys(LEVELS, ("again", "hours")),
    **dict.fromkeys(MOVES, ("again", "hours", "minutes")),
    "volume_times": ("again", "hours", "minutes"),
    "no_trade_minutes": (),
}

_EXAMPLE = '[[alert]]\nname = "apple-200"\nsymbol = "AAPL"\nabove = 200'


def parse_rules(body: bytes, file: str, today: date) -> tuple[Rule, ...]:
    """Return the rules of a file; raises `InputFileError` that names the file, the rule and the fault.

    file: its name, for errors. today: the session date, in New York.
    """
    try:
        return _rules(body, today)
    except ValueError as error:
        raise InputFileError(f"{file}: {error}") from error


def _rules(body: bytes, today: date) -> tuple[Rule, ...]:
    if len(body) > MOST_BYTES:
        raise ValueError(f"it has {len(body):,} bytes; at most {MOST_BYTES:,} are allowed")
    try:
        document = tomllib.loads(body.decode(), parse_float=Decimal)
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"it is no TOML: {error}") from error
    except (RecursionError, ArithmeticError):
        raise ValueError("it is nested too deeply, or has a number beyond all measure") from None
    tables = document.pop("alert", None)
    if document:
        raise ValueError(f"{next(iter(document))} is unknown: a file has tables [[alert]] only")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError(f"it has no rule; one is\n{_EXAMPLE}")
    rules = tuple(_Table(table, _title(number, table)).rule(today) for number, table in enumerate(tables, 1))
    names = [rule.name for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two rules are named {name}: give each a name of its own")
    watched = sum(len(rule.symbols) for rule in rules)
    if watched > MOST_WATCHED:
        raise ValueError(f"its rules watch {watched:,} symbols together; at most {MOST_WATCHED} are allowed")
    return rules


def _title(number: int, table: Mapping[str, Any]) -> str:
    name = table.get("name")
    return f"alert {number} ({name[:_LONGEST_NAME]})" if isinstance(name, str) and name else f"alert {number}"


@dataclass(frozen=True, slots=True)
class _Table:
    """A rule's table. title: what errors call it."""

    fields: Mapping[str, Any]
    title: str

    def rule(self, today: date) -> Rule:
        kinds = [kind for kind in KINDS if kind in self.fields]
        if len(kinds) != 1:
            given = f"it has {' and '.join(kinds)}" if kinds else "it has none"
            raise self._error(f"say one of {', '.join(KINDS)}; {given}")
        kind = kinds[0]
        allowed = (*_COMMON, kind, *_ALLOWED[kind])
        for field in self.fields:
            if field not in allowed:
                raise self._error(f"{field} is unknown here; with {kind} it takes {', '.join(allowed)}")
        first, last = self._date("first"), self._date("last")
        if first and last and last < first:
            raise self._error(f"last {last} lies before first {first}")
        if first and first > today + FURTHEST:
            raise self._error(f"first {first} is more than a year ahead: is the year right?")
        hours = self.fields.get("hours", "regular")
        if hours not in ("regular", "all"):
            raise self._error('hours takes "regular" or "all"')
        return Rule(self._name(), self._symbols(), self._condition(kind), self._feed(), hours == "all", first, last)

    def _condition(self, kind: str) -> Condition:
        if kind in LEVELS:
            above = LEVELS[kind]
            price = self._units(kind, Decimal(MAX_PRICE))
            # half a percent back, so that an ordinary price trembles without a word
            usual = price * 995 // 1000 if above else min(-(-price * 1005 // 1000), int(MAX_PRICE) * UNIT)
            armed_at = self._units("again", Decimal(MAX_PRICE)) if "again" in self.fields else usual
            if (armed_at > price) if above else (armed_at < price):
                side = "below" if above else "above"
                raise self._error(f"again takes a price {side} {self.fields[kind]}, at which the rule is armed again")
            return Level(price, armed_at, above)
        if kind == "no_trade_minutes":
            return Silence(self._minutes(kind))
        size = self._units(kind, Decimal(MOST_MULTIPLE))
        armed_at = self._units("again", Decimal(MOST_MULTIPLE)) if "again" in self.fields else size // 2
        if armed_at > size:
            raise self._error(f"again takes less than {kind}, {self.fields[kind]}")
        minutes = self._minutes("minutes")
        if kind == "volume_times":
            return Volume(size, armed_at, minutes)
        rises, falls = MOVES[kind]
        return Move(size, armed_at, minutes, rises, falls)

    def _name(self) -> str:
        name = self.fields.get("name")
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or not set(name) <= set(NAME_CHARACTERS):
            raise self._error(
                f'name takes small letters, digits and hyphens, at most {_LONGEST_NAME}, such as "apple-200"'
            )
        return name

    def _symbols(self) -> tuple[str, ...]:
        given = self.fields.get("symbol")
        symbols = [given] if isinstance(given, str) else given
        if not isinstance(symbols, list) or not symbols:
            raise self._error('symbol takes one such as "AAPL", or a list of them')
        for symbol in symbols:
            if not isinstance(symbol, str) or SYMBOL.fullmatch(symbol) is None:
                raise self._error(f'{str(symbol)[:20]!r} is no symbol; one is such as "AAPL" or "BRK.B"')
        return tuple(dict.fromkeys(symbols))

    def _feed(self) -> str | None:
        feed = self.fields.get("feed")
        if feed is not None and (not isinstance(feed, str) or FEED.fullmatch(feed) is None):
            raise self._error('feed takes one such as "sip"; without it, each feed of the symbol is watched')
        return feed

    def _units(self, field: str, most: Decimal) -> int:
        """Return a number above 0 in millionths."""
        value = self.fields[field]
        if isinstance(value, int) and not isinstance(value, bool):
            value = Decimal(value)
        if not isinstance(value, Decimal) or not value.is_finite() or not 0 < value <= most:
            raise self._error(f"{field} takes a number above 0 and at most {most:,}, without quotes")
        try:
            units = value.scaleb(_PLACES, _EXACT)
            if units != int(units):
                raise Inexact
        except Inexact:
            raise self._error(f"{field} has more than {_PLACES} decimal places") from None
        return int(units)

    def _minutes(self, field: str) -> int:
        value = self.fields.get(field)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_MINUTES:
            raise self._error(f"{field} takes a whole number from 1 to {MOST_MINUTES}")
        return value

    def _date(self, field: str) -> date | None:
        value = self.fields.get(field)
        if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
            raise self._error(f"{field} takes a session date without quotes, such as 2026-01-15")
        return value

    def _error(self, fault: str) -> ValueError:
        return ValueError(f"{self.title}: {fault}")
