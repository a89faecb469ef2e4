"""One message for each customer, where several lists have the same one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from segmentation.actions.campaign import CONTROL, TREATMENT

CALL, WIN_BACK, WRITE, LEAVE = "call", "win back", "campaign", "leave alone"


def one_message(
    customers: pd.DataFrame, arms: pd.DataFrame, called: pd.DataFrame, slipping: pd.DataFrame
) -> pd.Series:
    """What each customer gets: a call before a letter to win back, that before the campaign's.

    Who is left alone gets nothing, whatever list has them; who slipped is written to where the campaign
    writes to them, with another letter, so that no list adds contacts to it. Missing = no message.

    Examples
    --------
    >>> def ids(text, **more):
    ...     return pd.DataFrame({"customer_id": list(text), **more})
    >>> arms = ids("abcd", arm=["treatment", "treatment", "control", "treatment"])
    >>> one_message(ids("abcde"), arms, ids("a"), ids("abc")).tolist()
    ['call', 'win back', 'leave alone', 'campaign', None]
    """
    known = customers["customer_id"]
    arm = known.map(arms.set_index("customer_id")["arm"])
    written = (arm == TREATMENT).to_numpy()
    asked = {
        LEAVE: (arm == CONTROL).to_numpy(),
        CALL: known.isin(called["customer_id"]).to_numpy(),
        WIN_BACK: written & known.isin(slipping["customer_id"]).to_numpy(),
        WRITE: written,
    }
    gets = np.full(len(known), None, dtype=object)
    for message, who in reversed(asked.items()):
        gets[who] = message
    return pd.Series(gets, index=customers.index, dtype=object)
