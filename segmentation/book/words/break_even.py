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


def counted(mean: float, typical: float) -> float:
    """The share to count with: by the typical order where it is told apart from the mean.

    Examples
    --------
    >>> counted(0.011, 0.077), counted(0.011, float("nan")), counted(0.011, 0.0)
    (0.077, 0.011, 0.011)
    """
    return typical if typical > 0 else mean


def single_order(typical: float) -> str:
    """That one mean order pays for all contacts; before it, how many typical ones it takes.

    Examples
    --------
    >>> single_order(0.0)
    'a single extra order pays for all'
    >>> single_order(1.3)
    'pays if 2 order because of it (a single mean order pays for all)'
    """
    if not typical > 1:
        return "a single extra order pays for all"
    return f"pays if {math.ceil(typical - 1e-9):,} order because of it (a single mean order pays for all)"


def one_of_them(share: float) -> str:
    """`one_in` where it has been said of whom.

    Examples
    --------
    >>> one_of_them(0.077), one_of_them(0.6)
    ('1 in 13 orders', '60 in 100 order')
    """
    return one_in(share).replace(" customers order", " order")


def pays_if(mean: float, typical: float) -> str:
    """Who must order, by the typical order first where a few large ones raise the mean.

    Examples
    --------
    >>> pays_if(0.011, float("nan")), pays_if(0.011, 0.077)
    ('pays if 1 in 91 orders because of it', 'pays if 1 in 13 orders because of it (1 in 91 by the mean order)')
    >>> pays_if(0.5, 1.2)
    'does not pay by the typical order (by the mean order if 1 in 2 orders because of it)'
    """
    if typical > UNREACHABLE:
        return f"does not pay by the typical order (by the mean order if {one_of_them(mean)} because of it)"
    by_mean = one_in(mean).removesuffix(" customers orders").removesuffix(" customers order")
    also = f" ({by_mean} by the mean order)" if typical > 0 else ""
    return f"pays if {one_of_them(counted(mean, typical))} because of it{also}"
