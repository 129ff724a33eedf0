"""Much in parts: as many rows as one statement takes, or one transaction."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in their order, in lists of at most `size`, each made when it is asked for."""
    left = iter(items)
    while part := list(islice(left, size)):
        yield part
