"""How much of a running session has to be new before its version is written anew.

A version holds all rows of a session, so each rewrite processes those of before again.
"""


def is_worth_a_rewrite(new_bytes: int, base_bytes: int, share: float) -> bool:
    """Tell if the new raw files are at least `share` of all, by their bytes.

    base_bytes: of the raw files in the published version; 0 without one.
    """
    return new_bytes > 0 and new_bytes >= share * (new_bytes + base_bytes)
