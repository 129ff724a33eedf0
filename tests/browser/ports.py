"""Prints a free port that has six more free ones behind it, for the demonstration."""

import contextlib
import random
import socket
import sys

from demo.addresses import DEFAULT_PORT, Addresses

COUNT = 1 + len(Addresses(DEFAULT_PORT).ports)
RANGE = range(21000, 32000, COUNT)
"""Below the ports that systems give to outgoing connections."""


def are_free(ports: range) -> bool:
    """Whether nothing on loopback listens at any of them."""
    with contextlib.ExitStack() as stack:
        for port in ports:
            for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                try:
                    stack.enter_context(socket.socket(family)).bind((host, port))
                except OSError:
                    return False
    return True


def find_port() -> int:
    """The first of them."""
    for port in random.sample(RANGE, len(RANGE)):
        if are_free(range(port, port + COUNT)):
            return port
    raise SystemExit("no seven free ports in a row were found")


if __name__ == "__main__":
    sys.stdout.write(f"{find_port()}\n")
