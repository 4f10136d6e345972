"""The ways in which a server may write a key that it sends back, as one pattern.

Any mixture of them is found, because each character has its own: percent-encoding, also of itself; HTML entities; the
escapes of JSON and of string literals. The key as a whole may also be in hexadecimal or base64, alone or among other
text (basic authentication).
"""

import re
from base64 import b64encode
from functools import lru_cache
from html.entities import html5

SHORTEST_ENCODED = 4
"""A shorter value in base64 is a few letters, which are in every text."""


@lru_cache(maxsize=8)
def pattern_of(*values: str) -> re.Pattern[str]:
    """Return what matches any of the values, the longest first: one that begins another must leave no tail."""
    forms: list[str] = []
    for value in sorted(filter(None, values), key=len, reverse=True):
        forms.append("".join(map(_character, value)))
        if len(value) >= SHORTEST_ENCODED:
            forms += [f"(?i:{value.encode().hex()})", *(_base64(value, before) for before in range(3))]
    return re.compile("|".join(forms))


def _character(character: str) -> str:
    # The escapes first: each begins with a character that may stand for itself.
    return "(?:" + "|".join([*_escapes(ord(character)), rf"\\{{0,8}}{re.escape(character)}"]) + ")"


def _escapes(code: int) -> list[str]:
    hexadecimal = f"(?i:{code:02x})"
    entities = [re.escape(name) for name, value in html5.items() if value == chr(code)]
    names = [rf"#0{{0,8}}{code};?", rf"#[xX]0{{0,8}}{hexadecimal};?", *sorted(entities, key=len, reverse=True)]
    return [
        f"%(?:25){{0,8}}{hexadecimal}",
        rf"\\{{1,8}}(?:u00|x){hexadecimal}",
        f"&(?:amp;){{0,8}}(?:{'|'.join(names)})",
    ]


def _base64(value: str, before: int) -> str:
    """Return the pattern of the value in base64, `before` characters after one that begins a group of three.

    The letters at its ends have bits of its neighbours too, so any letter may stand there.
    """
    whole = b64encode(b"\0" * before + value.encode()).decode().rstrip("=")
    begin = (before * 8 + 5) // 6
    end = (before + len(value)) * 8 // 6
    letters = "".join(_letter(letter) for letter in whole[begin:end])
    first = "[A-Za-z0-9+/_-]" if before else ""
    last = "[A-Za-z0-9+/_-]" if end < len(whole) else ""
    return first + letters + last


def _letter(letter: str) -> str:
    # The alphabet for URLs has two other letters.
    other = {"+": "-", "/": "_"}.get(letter)
    return f"(?:{_character(letter)}|{other})" if other else _character(letter)
