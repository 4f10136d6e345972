"""Condition codes of a format's alphabet as letters of the tape. An alphabet is never guessed from a code."""

import re
from functools import lru_cache

TAPE, MASSIVE, NONE, MASK = ALPHABETS = ("tape", "massive", "none", "algoseek")
"""Letters of CTA and UTP; Massive's numbers; no codes, or codes that mean nothing here; algoseek's bits."""

_POSITIONS = re.compile(r"[@A-Z1-9 ]{0,5}")
_NUMBERS = re.compile(r"\d{2}|[,|;_]")
_WORDS = frozenset([
    "AUTO", "AVG", "BUY", "CASH", "CLOSE", "CROSS", "EXT", "FALSE", "FORMT", "ISO", "LATE", "LOT", "NAN", "NEXT",
    "NONE", "NULL", "ODD", "OPEN", "POST", "PRE", "REG", "SELL", "SOLD", "SWEEP", "TRUE",
])  # fmt: skip
"""What vendors write in words and would pass for letters. The tape combines no such letters."""

_SHARED = {
    0: "", 7: "C", 9: "X", 10: "4", 12: "T", 13: "U", 14: "F", 15: "M", 16: "Q", 20: "N", 21: "H", 22: "P",
    23: "K", 29: "R", 30: "L", 32: "Z", 37: "I", 38: "9", 41: "", 52: "V", 53: "7",
}  # fmt: skip
_CTA = _SHARED | {2: "B", 3: "E", 17: "O", 18: "5", 19: "6", 24: "K"}
_UTP = _SHARED | {
    1: "A", 2: "W", 4: "B", 5: "G", 8: "6", 11: "D", 25: "O", 27: "1", 28: "5", 31: "2", 33: "3", 34: "S", 36: "Y",
}  # fmt: skip
"""Massive's conditions (massive.com, conditions by data type). 41, trade-through exempt, is no sale condition."""


_BITS = (
    "", "C", "N", "R", "Y", "F", "O", "6", "5", "4", "T", "L", "1", "U", "Z", "S",
    "A", "", "V", "D", "W", "X", "H", "K", "M", "P", "Q", "", "E", "", None, "I",
)  # fmt: skip
"""By the bit's number. 0 regular, 17 bunched and 27 CAP election change nothing: `B` is bunched on tape C alone, and
the mask names no tape. 29, trade-through exempt, is no sale condition; what 30 is nobody says.
"""
_MASK = re.compile(r"(0[xX])?[0-9A-Fa-f]{1,8}")


class WrongAlphabetError(ValueError):
    """Codes that should be letters of the tape are numbers or words."""


@lru_cache(maxsize=65_536)
def letters_of(codes: str, tape: str, exchange: str, alphabet: str) -> str | None:
    """Return the letters of a print's codes, without blanks; None if one is unknown.

    Raises `WrongAlphabetError` if codes that should be letters are numbers or words. The tape has digits among its
    letters; beside an exchange that is a number, too, they are numbers.
    """
    if alphabet == NONE:
        return ""
    if alphabet == MASK:
        return _letters_of_mask(codes)
    if alphabet == MASSIVE:
        table = _UTP if tape == "C" else _CTA
        numbers = [part.strip() for part in codes.split(",") if part.strip()]
        if not all(number.isdecimal() and int(number) in table for number in numbers):
            return None
        return "".join(table[int(number)] for number in numbers)
    if _NUMBERS.search(codes) or codes in _WORDS or (exchange.isdecimal() and any(code.isdecimal() for code in codes)):
        raise WrongAlphabetError(f"the condition {codes[:40]!r} is a number or a word, and no letters of the tape")
    return codes.replace(" ", "") if _POSITIONS.fullmatch(codes) else None


def _letters_of_mask(codes: str) -> str | None:
    if not _MASK.fullmatch(codes or "0"):
        return None
    mask = int(codes or "0", 16)
    letters = [letter for bit, letter in enumerate(_BITS) if mask >> bit & 1]
    return None if None in letters else "".join(filter(None, letters))
