"""`python -m tests.check_stream`: hold the websocket producer under load, and print what it cost. Ten minutes."""

import argparse
import asyncio
import sys

from tests.support.stream_load import Load, carry


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=5000, help="messages a second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=600, help="default: %(default)s")
    parser.add_argument("--put-seconds", type=float, default=0.5, help="what PutRecords takes (default: %(default)s)")
    options = parser.parse_args()
    outcome = asyncio.run(carry(Load(options.rate, options.seconds, options.put_seconds)))
    print(outcome)
    held = outcome.published == outcome.load.messages and outcome.connections == 1
    print("held: one connection, every message published" if held else "NOT HELD")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
