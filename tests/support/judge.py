"""The engine that judges Athena's SQL: Athena or a real Trino in its place, or DuckDB with translated SQL.

What the translation can't judge stands here, once, with the reason. Everything else it judges too.
"""

import os
from collections.abc import Mapping

LEFT_TO_TRINO = {
    "unreadable files": "the translation opens the very files that a statement leaves out by their path",
    "rounding of averages": "an average of prices is an unrounded double in the translation",
    "rounding of times": "the translation cuts microseconds, which Athena rounds half up to milliseconds",
    "check_query_bytes": "the translation counts columns, not what an engine fetches",
    "check_scale": "the translation lists the emulated S3 in its own way",
    "check_iceberg": "the translation has no Iceberg",
}
"""Steps, and modules of `tests`, that only Trino judges."""


def is_judged(step: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether this engine judges the step; say why where it does not."""
    reason = LEFT_TO_TRINO[step]
    if "AWS_ENDPOINT_URL_ATHENA" not in environ or "ATHENA_TRINO_URL" in environ:
        return True
    print(f"  left to Trino: {step}, because {reason}", flush=True)
    return False
