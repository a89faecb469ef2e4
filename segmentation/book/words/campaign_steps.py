"""One campaign from list to read-out, with this run's own numbers and commands."""

from __future__ import annotations

import math
import shlex

import pandas as pd

from segmentation.book.words.text import in_code, in_runs, inert, named, plural
from segmentation.book.words.warnings import ONCE_RIGHT
from segmentation.core.columns import format_percent, format_points
from segmentation.core.limits import LEAST_PUBLISHED
from segmentation.deliver.campaign_lists import size_sentence


def results_sentence(
    customers: pd.DataFrame,
    plan: pd.DataFrame,
    call_first: pd.DataFrame,
    *,
    dates_hold: bool = True,
) -> str:
    """What a run leaves to work with: lists, a campaign, and a model for new customers.

    ``dates_hold`` is as `campaign_steps` takes it.

    Examples
    --------
    >>> one = pd.DataFrame({"segment_type": ["normal"], "segment": ["A"]})
    >>> results_sentence(one, one.iloc[:0], one.iloc[:0])
    '**The workbook lists 1 customer in 1 segment**; the model beside it gives new customers theirs.'
    """
    segments = customers.groupby(["segment_type", "segment"], observed=True).ngroups
    text = f"**The workbook lists {plural(len(customers), 'customer')} in {plural(segments, 'segment')}**"
    lists = [f"whom to call first ({len(call_first):,})"] if len(call_first) else []
    if len(plan):
        contact, control = (int(plan[arm].sum()) for arm in ("treatment", "control"))
        lists.append(
            f"whom to contact ({contact:,}) and whom to leave alone ({control:,}) in "
            f"{plural(len(plan), 'campaign')}"
        )
    says = f" and says {', '.join(lists)}" if lists else ""
    once = "" if dates_hold else ONCE_RIGHT
    return f"{once}{text}{says}; the model beside it gives new customers theirs."


def campaign_steps(
    plan: pd.DataFrame,
    folder_name: str,
    *,
    is_told: bool = True,
    dates_hold: bool = True,
    calls: pd.DataFrame | None = None,
) -> str:
    """The first campaign of a plan, a command a step.

    Parameters
    ----------
    plan : DataFrame
        ``campaign_plan`` of a run, in the order of its recommendations.
    folder_name : str
        Name of the run's folder.
    is_told : bool
        Whether it is told when a campaign pays: not where the cost cannot be right.
    dates_hold : bool
        Whether day and month of orders are what they seem; else nothing is sent yet.
    calls : DataFrame, optional
        What campaigns need with the calls to their contacted halves, as `with_calls` gives it.

    Returns
    -------
    str
        Markdown. The blocks run one after the other, once ``contacts.csv`` and ``orders.csv``
        are there.
    """
    if plan.empty:
        return "No campaign is recommended in this run, so there is none to lead through."
    row = plan.iloc[0]
    segment, days = in_code(row["segment"]), int(row["outcome_days"])
    whom = f"--segment {shlex.quote(segment)}"
    if plan["segment"].eq(row["segment"]).sum() > 1:
        whom += f" --group {row['segment_type']}"
    customers = int(row["treatment"] + row["control"])
    steps = [
        f"**The list** is there already: `campaign_arms.csv` has {customers:,} customers of "
        f"{inert(named(row['segment'], row['segment_type'], list(plan['segment_type'])))} (what to do: {inert(row['play'].lower())}), at random {row['treatment']:,} to contact and "
        f"{row['control']:,} to leave alone."
    ]
    pays = row["break_even_response"]
    if math.isfinite(row["base"]) and math.isfinite(row["detectable"]):
        smallest = max(row["detectable"], pays) if is_told else row["detectable"]
        base, effect = format(row["base"], ".4f"), format(smallest, ".4f")
        answer = size_sentence(base=float(base), effect=float(effect), customers=customers)
        answer += (
            " Whether that is enough is not known until `contact_cost` is set."
            if not is_told
            else " That is enough."
            if row["detectable"] <= pays
            else f" But {format_points(pays)} pay: the campaign may pay and this list could not tell."
        )
        steps.append(
            f"**Is it large enough?** {format_percent(row['base'])} order within {days} days "
            f"anyway{f'; {_pays(pays, customers)}' if is_told else ''}.\n\n"
            + _block(f"campaign size --base {base} --effect {effect} --customers {customers}")
            + f"\n\nIt answers: {answer}"
        )
    steps += [
        "**To the tool that sends.** `contacts.csv` is the shop's own: `customer_id`, `email` or "
        "`phone`, and `consent` (yes or no). The file gets those of the list who consented and "
        "are not among those left alone, with the columns that the platform takes; every other row "
        "is counted under its reason. `--for` knows klaviyo, hubspot, mailchimp, meta, google "
        "and csv. Two columns of each name the half (`arm`) and the campaign; `arms.csv` beside it "
        "lists both halves for the comparison.\n\n"
        + _block(
            f"audience {in_runs(folder_name)} {whom} --contacts contacts.csv --for klaviyo "
            "--output audience"
        ),
        f"**After {days} days**, `orders.csv` is what was ordered since: `customer_id`, a row an "
        "order. `audience/arms.csv` has both halves as far as they could be reached, so that like "
        f"is compared with like.{_called_too(calls, row) if is_told else ''}\n\n"
        + _block(
            "campaign readout audience/arms.csv orders.csv"
            + (f" --break-even {_decimals(pays)}" if is_told else "")
        ),
    ]
    numbered = [f"{number}. {_indented(step)}" for number, step in enumerate(steps, 1)]
    return "\n\n".join(numbered if dates_hold else [ONCE_RIGHT.strip(), *numbered])


def _called_too(calls: pd.DataFrame | None, row: pd.Series) -> str:
    """By what to read out a campaign whose contacted half is called, too; nothing of a few persons."""
    if calls is None or calls.empty:
        return ""
    own = calls[
        (calls["segment_type"] == row["segment_type"])
        & (calls["segment"] == row["segment"])
        & (calls["calls"] >= LEAST_PUBLISHED)
    ]
    if own.empty:
        return ""
    needed = _decimals(float(own["needed_with_calls"].iloc[0]))
    return (
        " If those of its contacted half on the list *Call first* are called too, it pays only from more: "
        f"then give `--break-even {needed}`."
    )


def _pays(response: float, customers: int) -> str:
    if response * customers <= 1:
        return "by the cost set, a single extra order pays for all of them"
    return f"the campaign pays if {100 * response:.2f} more of 100 do"


def _decimals(share: float) -> str:
    """As many decimals as show two digits, four at least.

    Examples
    --------
    >>> _decimals(0.0772), _decimals(0.00000094)
    ('0.0772', '0.00000094')
    """
    return f"{share:.{max(4, 1 - math.floor(math.log10(share)))}f}" if share > 0 else "0.0000"


def _block(command: str) -> str:
    return f"```bash\nsegmentation {command}\n```"


def _indented(step: str) -> str:
    return step.replace("\n", "\n   ").replace("\n   \n", "\n\n")
