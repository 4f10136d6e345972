"""Sale conditions of the US consolidated tape: which figures of a bar a print may change.

The table is the rule; dbt gets it as a seed (`local.seeds`). Regular hours belong to `session`, bars to `bar`.

The flags are those of the tapes' consolidated processing, as dxFeed transcribes it (kb.dxfeed.com, TimeAndSale Sale
Conditions) and as Massive's table of conditions has them (its numbers: `files.condition_codes`). A row may be for one
tape only: `B` is an average price on the CTA tapes (A and B), a bunched trade on UTP's (C). Without a tape, the
stricter meaning counts. Alpaca hands the same letters through.

Prints that are reported late or priced by another print (`3 4 G P Z`, and `L` on CTA's tapes) make highs and lows. The
tapes let them be a first or last price only if they are the day's first or only qualifying print. Their venue time is
earlier than their report, so here they are only where the day has no other.
"""

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class SaleCondition:
    """One code of the tape. A false flag: a print with this code does not change that figure."""

    code: str
    name: str
    tape: str = ""
    """A, B or C where the code means this on that tape only, in place of its general row."""
    updates_volume: bool = True
    updates_high_low: bool = True
    updates_open_close: bool = True
    """Whether it may be the first or the last price of a session ("updates last" in the tapes' words)."""
    is_auction: bool = False
    """A price made in an auction counts beside any other code."""
    is_official_print: bool = False
    """Names a price and repeats a size that the tape has already reported; not an execution."""
    is_opening: bool = False
    is_closing: bool = False
    """A closing auction, which makes a price seconds after the close."""
    is_corrected_close: bool = False
    """The listing market's correction of the consolidated close; not an execution."""


def _regular(code: str, name: str) -> SaleCondition:
    return SaleCondition(code, name)


def _volume_only(code: str, name: str) -> SaleCondition:
    return SaleCondition(code, name, updates_high_low=False, updates_open_close=False)


def _high_low(code: str, name: str, tape: str = "") -> SaleCondition:
    return SaleCondition(code, name, tape, updates_open_close=False)


def _official(code: str, name: str, is_corrected_close: bool = False) -> SaleCondition:
    return SaleCondition(
        code,
        name,
        is_corrected_close=is_corrected_close,
        updates_volume=False,
        updates_high_low=False,
        updates_open_close=False,
        is_official_print=True,
    )


SALE_CONDITIONS: tuple[SaleCondition, ...] = (
    _regular("@", "Regular sale"),
    _regular("1", "Stopped stock"),
    _regular("2", "Stopped stock, sold last"),
    _high_low("3", "Stopped stock, sold out of sequence"),
    _high_low("4", "Derivatively priced"),
    SaleCondition("5", "Market center reopening trade", is_auction=True),
    SaleCondition("6", "Market center closing trade", is_auction=True, is_closing=True),
    _volume_only("7", "Qualified contingent trade"),
    _official("9", "Corrected consolidated close", is_corrected_close=True),
    _regular("A", "Acquisition"),
    _volume_only("B", "Average price trade"),
    SaleCondition("B", "Bunched trade", tape="C"),
    _volume_only("C", "Cash sale"),
    _regular("D", "Distribution"),
    _regular("E", "Automatic execution"),
    _regular("F", "Intermarket sweep"),
    _high_low("G", "Bunched sold trade"),
    _volume_only("H", "Price variation trade"),
    _volume_only("I", "Odd lot trade"),
    _regular("K", "Rule 127 or 155 trade"),
    _high_low("L", "Sold last"),
    SaleCondition("L", "Sold last", tape="C"),
    _official("M", "Market center official close"),
    _volume_only("N", "Next day"),
    SaleCondition("O", "Market center opening trade", is_auction=True, is_opening=True),
    _high_low("P", "Prior reference price"),
    _official("Q", "Market center official open"),
    _volume_only("R", "Seller"),
    _regular("S", "Split trade"),
    _volume_only("T", "Extended hours trade"),
    _volume_only("U", "Extended hours sold out of sequence"),
    _volume_only("V", "Contingent trade"),
    _volume_only("W", "Average price trade"),
    _regular("X", "Cross trade"),
    _regular("Y", "Yellow flag regular trade"),
    _high_low("Z", "Sold out of sequence"),
)

TAPES = ("", "A", "B", "C")
"""Empty where a source does not say."""


def table_of_tape(tape: str) -> dict[str, SaleCondition]:
    """Return the meaning of each code on one tape."""
    general = {condition.code: condition for condition in SALE_CONDITIONS if not condition.tape}
    return general | {condition.code: condition for condition in SALE_CONDITIONS if condition.tape == tape and tape}


_BY_TAPE = {tape: table_of_tape(tape) for tape in TAPES}


@dataclass(frozen=True, slots=True)
class PrintRule:
    """What one print, with all its codes, may change, whatever the hour."""

    updates_volume: bool
    updates_high_low: bool
    updates_open_close: bool
    opens_and_closes_alone: bool
    """Whether it is the first or last price of a session that has no other."""
    is_official_print: bool
    is_opening: bool
    is_closing: bool
    is_corrected_close: bool
    unknown_codes: str
    """Codes that the table does not have, in the print's order."""


@lru_cache(maxsize=4096)
def is_paid(conditions: str, tape: str = "") -> bool:
    """Tell if a print with these codes is an execution, and not an official print, which repeats one."""
    return not print_rule(conditions, tape).is_official_print


@lru_cache(maxsize=4096)
def is_last_eligible(conditions: str, tape: str = "") -> bool:
    """Tell if the tape takes a print with these codes for its last price. What it takes only alone is left out."""
    return print_rule(conditions, tape).updates_open_close


# a session has some thirty combinations, and tens of thousands of look-ups
@lru_cache(maxsize=4096)
def print_rule(conditions: str, tape: str = "") -> PrintRule:
    """Return the rule for one print's codes, in any order; without codes it is a regular sale.

    Each code must allow a figure. But an auction print makes prices beside any code, and an official print changes
    nothing. An unknown code forbids nothing, because the tape's rules are lists of exceptions.
    """
    table = _BY_TAPE.get(tape, _BY_TAPE[""])
    known = [table[code] for code in conditions if code in table]
    official = any(condition.is_official_print for condition in known)
    auction = any(condition.is_auction for condition in known)
    high_low = not official and (auction or all(condition.updates_high_low for condition in known))
    open_close = not official and (auction or all(condition.updates_open_close for condition in known))
    return PrintRule(
        updates_volume=all(condition.updates_volume for condition in known),
        updates_high_low=high_low,
        updates_open_close=open_close,
        opens_and_closes_alone=high_low and not open_close,
        is_official_print=official,
        is_opening=not official and any(condition.is_opening for condition in known),
        is_closing=not official and any(condition.is_closing for condition in known),
        is_corrected_close=any(condition.is_corrected_close for condition in known),
        unknown_codes="".join(code for code in conditions if code not in table),
    )
