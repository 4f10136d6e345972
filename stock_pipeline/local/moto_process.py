"""The AWS services of the local stack: one moto server in a process of its own.

Run as a module it serves on a free loopback port and prints its address on the first line. It ends when its standard
input closes, so it never outlives its parent.
"""

import sys
from typing import IO

from moto.server import ThreadedMotoServer


def serve(stdin: IO[str], stdout: IO[str]) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    stdout.write(f"http://{host}:{port}\n")
    stdout.flush()
    stdin.read()
    server.stop()


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
