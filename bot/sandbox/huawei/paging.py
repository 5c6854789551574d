"""The pages of ListTaskGroup and ListTasks. Their order is not documented, so that it can be made unstable.

Pure.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import Enum
from typing import TypeVar

Item = TypeVar("Item")


class Paging(Enum):
    """How the pages of one list fit together. The value is the text in the control panel."""

    #: Each page begins where the last one ended.
    STABLE = "all items in a stable order"
    #: Each page is a part of a different order, so that items are repeated and others are missing.
    SHUFFLED = "each page in a different order"
    #: The second page begins with the last item of the first, as if an item had been added to the first.
    REPEATS = "an item of the first page again on the second"
    #: The second page begins one item too late, as if an item had been removed from the first.
    DROPS = "one item too few between the first and the second page"


def page(items: Sequence[Item], offset: int, limit: int, paging: Paging, call: int) -> Sequence[Item]:
    """One page of a list.

    Arguments:
        call: a number that differs from call to call.
    """
    if paging is Paging.SHUFFLED:
        items = random.Random(call).sample(items, len(items))  # noqa: S311 not for security
    elif offset and paging is not Paging.STABLE:
        offset += 1 if paging is Paging.DROPS else -1
    return items[offset : offset + limit]
