"""TAQ's correction indicator, as every format has it."""

STATUS_OF_CORRECTION = {
    "": "good",
    "0": "good",
    "1": "corrected",
    "7": "cancelled",
    "8": "cancelled",
    "10": "notice",
    "11": "notice",
    "12": "notice",
}
"""By the indicator without leading zeros.

1: a trade that was later corrected and carries the corrected values
7, 8: trades later marked as an error or cancelled
10 to 12: the tape's messages about them, which execute nothing (12 with the values that were wrong)
"""
