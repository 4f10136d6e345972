"""Measure what Athena fetches for the example queries of a compacted session, and hold it to `bench/query_bounds.json`.

Against an account: `python -m tests.check_query_bytes` with AWS credentials, BUCKET_NAME and DATABASE_NAME set to an
empty bucket and to a Glue database that does not exist yet; both keep what it writes.
"""

import os
import sys

from bench.generated_session import GeneratedSession
from bench.queries import COMPACTED, Engine, bounds, broken_bounds, measure, print_table, settings_of

ROWS, FILES = 500_000, 16
"""Few files, because only the compacted one is asked; large enough for queries to leave most of it out."""


def main() -> None:
    print(f"Ask the example queries of a compacted session of {ROWS:,} rows")
    results = measure(Engine.of(settings_of(os.environ)), GeneratedSession(ROWS, FILES), (COMPACTED,), scratch=None)
    print_table(results)
    held = {bound.query for bound in bounds() if bound.rows == ROWS}
    if held != {result.query for result in results}:
        sys.exit(f"bench/query_bounds.json has bounds of {sorted(held)} only for {ROWS:,} rows")
    if broken := broken_bounds(results):
        sys.exit("\n".join(broken))


if __name__ == "__main__":
    main()
