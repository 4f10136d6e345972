"""Reads the lake's JSON objects strictly: a field of another kind is torn, an unknown one a newer release's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

_MISSING: Any = object()
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object. Each reader raises `ValueError`, which names the field, for a value of another kind.

    default: of a field that older releases do not write; without one the field must be there.
    """

    fields: Mapping[str, Any]

    @classmethod
    def parse(cls, body: bytes) -> "Document":
        """Return the object of a whole JSON text; `ValueError` for anything else."""
        try:
            value = json.loads(body, object_pairs_hook=_unrepeated)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
        if not isinstance(value, dict):
            raise ValueError(f"it is {_shown(value)}, no object")
        return cls(value)

    def text(self, name: str, default: str = _MISSING) -> str:
        return _encodable(name, str(self._value(name, (str,), "a text", default)))

    def text_or_none(self, name: str) -> str | None:
        value: str | None = self._value(name, (str, type(None)), "a text or null", _MISSING)
        return None if value is None else _encodable(name, value)

    def whole(self, name: str, default: int = _MISSING) -> int:
        """Return a whole number of 0 or more."""
        return int(self._number(name, (int,), "a whole number", default) or 0)

    def whole_or_none(self, name: str) -> int | None:
        return self._number(name, (int, type(None)), "a whole number or null", _MISSING)

    def hexadecimal(self, name: str) -> int:
        """Return a number of 64 bits, written as 16 hexadecimal digits."""
        return int(self.digits(name), 16)

    def digits(self, name: str) -> str:
        """Return 16 hexadecimal digits, such as the name of a version."""
        return _digits(name, self.text(name))

    def digits_or_none(self, name: str) -> str | None:
        text = self.text_or_none(name)
        return None if text is None else _digits(name, text)

    def digits_of_each(self, name: str, default: list[Any] = _MISSING) -> tuple[str, ...]:
        return tuple(_digits(name, text) for text in self.texts(name, default))

    def date(self, name: str) -> date:
        text = self.text(name)
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"{name} is {_shown(text)}, not a date") from error

    def time_or_none(self, name: str) -> datetime | None:
        """Return a time with its offset from UTC, without which it can't be compared with others."""
        text = self.text_or_none(name)
        if text is None:
            return None
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"{name} is {_shown(text)}, not a time") from error
        if time.tzinfo is None:
            raise ValueError(f"{name} is {_shown(text)}, a time without an offset from UTC")
        return time

    def object(self, name: str) -> "Document":
        return Document(self._value(name, (dict,), "an object", _MISSING))

    def objects(self, name: str, default: list[Any] = _MISSING) -> list["Document"]:
        return [Document(each) for each in self._list(name, dict, "objects", default)]

    def texts(self, name: str, default: list[Any] = _MISSING) -> tuple[str, ...]:
        return tuple(_encodable(name, text) for text in self._list(name, str, "texts", default))

    def _list(self, name: str, kind: type, what: str, default: list[Any]) -> list[Any]:
        values: list[Any] = self._value(name, (list,), f"a list of {what}", default)
        for value in values:
            if not isinstance(value, kind):
                raise ValueError(f"{name} has {_shown(value)} among its {what}")
        return values

    def _number(self, name: str, kinds: tuple[type, ...], what: str, default: Any) -> int | None:
        value: int | None = self._value(name, kinds, what, default)
        if isinstance(value, bool) or (value is not None and value < 0):
            raise ValueError(f"{name} is {_shown(value)}, not {what}")
        return value

    def _value(self, name: str, kinds: tuple[type, ...], what: str, default: Any) -> Any:
        value = self.fields.get(name, default)
        if value is _MISSING:
            raise ValueError(f"{name} is missing")
        if not isinstance(value, kinds):
            raise ValueError(f"{name} is {_shown(value)}, not {what}")
        return value


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{_shown(twice)[1:-1]} is there twice")
    return fields


def _encodable(name: str, text: str) -> str:
    """Refuse half a character, which JSON can hold and neither a key nor a hash can."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} is {_shown(text)}, not a text that has an encoding") from error
    return text


def _digits(name: str, text: str) -> str:
    if len(text) != 16 or any(digit not in "0123456789abcdef" for digit in text):
        raise ValueError(f"{name} is {_shown(text)}, not 16 hexadecimal digits")
    return text


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
