"""How many must order because of a contact, as people say it."""

from __future__ import annotations

import math

SINGLE_ORDER = "a single extra order pays for all"


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


def one_of_them(share: float) -> str:
    """`one_in` where it has been said of whom.

    Examples
    --------
    >>> one_of_them(0.077), one_of_them(0.6)
    ('1 in 13 orders', '60 in 100 order')
    """
    return one_in(share).replace(" customers order", " order")


def pays_if(needed: float, by_mean: float) -> str:
    """Who must order; in brackets by the mean order, where the typical one counts.

    Examples
    --------
    >>> pays_if(0.011, float("nan")), pays_if(0.077, 0.011)
    ('pays if 1 in 91 orders because of it', 'pays if 1 in 13 orders because of it (1 in 91 by the mean order)')
    """
    mean = (
        one_in(by_mean).removesuffix(" customers orders").removesuffix(" customers order")
        if by_mean > 0
        else ""
    )
    also = (
        f" ({mean} by the mean order)"
        if mean and not one_of_them(needed).startswith(f"{mean} ")
        else ""
    )
    return f"pays if {one_of_them(needed)} because of it{also}"
