"""How many must order because of a contact, as people say it."""

from __future__ import annotations

import math

from segmentation.core.limits import UNREACHABLE


def one_in(share: float) -> str:
    """Who must order, as people say it; rounded so that it hardly sounds easier than it is.

    Examples
    --------
    >>> one_in(0.077), one_in(0.6), one_in(1.0)
    ('1 in 13 customers orders', '60 in 100 customers order', 'everybody orders')
    """
    if share >= 1:
        return "everybody orders"
    if share > 0.5:
        return f"{math.ceil(100 * share - 1e-9)} in 100 customers order"
    return f"1 in {math.floor(1 / share + 0.1):,} customers orders"


def single_order(typical: float) -> str:
    """That one mean order pays for all contacts, and how many typical ones it takes.

    Examples
    --------
    >>> single_order(0.0)
    'a single extra order pays for all'
    >>> single_order(1.3)
    'a single extra order pays for all (2 by the typical order)'
    """
    also = f" ({math.ceil(typical - 1e-9):,} by the typical order)" if typical > 1 else ""
    return f"a single extra order pays for all{also}"


def one_of_them(share: float) -> str:
    """`one_in` where it has been said of whom.

    Examples
    --------
    >>> one_of_them(0.077), one_of_them(0.6)
    ('1 in 13 orders', '60 in 100 order')
    """
    return one_in(share).replace(" customers order", " order")


def typically(share: float) -> str:
    """Who must order by the typical order, where that is told apart from the mean."""
    if not 0 < share <= UNREACHABLE:
        return ""
    return f" ({one_in(share).removesuffix(' customers orders')} by the typical order)"
