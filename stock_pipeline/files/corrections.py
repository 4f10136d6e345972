"""TAQ's correction indicator, as every format has it."""

CANCELS_EQUAL = "="
"""Instead of an indicator: the row cancels the last trade before it of the same values, having no other name for it."""

STATUS_OF_CORRECTION = {
    "": "good",
    "0": "good",
    "1": "corrected",
    "7": "cancelled",
    "8": "cancelled",
    "10": "notice",
    "11": "notice",
    "12": "notice",
    CANCELS_EQUAL: "cancels",
}
"""By the indicator without leading zeros.

1: a trade that was later corrected and carries the corrected values
7, 8: trades later marked as an error or cancelled
10 to 12: the tape's messages about them, which execute nothing (12 with the values that were wrong)
cancels: no status of a trade; `lake_rows.identified` finds the one that is meant
"""
