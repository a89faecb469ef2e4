"""What each column of the workbook's own sheets means; features and segments are in `schema`."""

from __future__ import annotations

from segmentation.core.columns import Column

LIST = "one list per segment"
"""What the dictionary calls the sheets that list one segment each."""
TITLES = {
    "summary": "Summary",
    "call_first": "Call first",
    "slipping": "Slipping",
    "anomalies": "Unusual",
    "segments": "All customers",
    "recommendations": "Recommendations",
    "campaign": "Campaign",
    "profile": "Segment profile",
    "names": "Why these names",
    "findings": "Data quality",
    "ledger": "Ledger",
    "dictionary": "Definitions",
    "about": "About",
}
"""What each sheet is called, by the name of its CSV twin, in reading order."""


def _by_name(*columns: Column) -> dict[str, Column]:
    return {column.name: column for column in columns}


def _text(name: str, label: str, meaning: str) -> Column:
    return Column(name, label, "", "text", meaning)


def _money(name: str, label: str, meaning: str) -> Column:
    return Column(name, label, "currency", "money", meaning)


def _share(name: str, label: str, meaning: str) -> Column:
    return Column(name, label, "%", "share", meaning)


def _days(name: str, label: str, meaning: str) -> Column:
    return Column(name, label, "days", "days", meaning)


def _people(name: str, label: str, meaning: str) -> Column:
    return Column(name, label, "customers", "count", meaning)


_ARM = _text(
    "campaign_arm",
    "Campaign",
    "Contact, or leave alone so that the effect can be seen; chosen at random. Empty = no campaign.",
)
_MESSAGE = _text(
    "message",
    "Message",
    "The only one that the customer gets, whatever lists have them: call, before win back (who "
    "slipped), before the segment's campaign. Leave alone = nothing, so that the effect can be "
    "seen; chosen at random. Empty = no contact is advised.",
)
_PLACE = (
    Column(
        "place_by_spend",
        "Place by spend",
        "",
        "count",
        "Among all customers, 1 = spent most: whom to choose first, where not all can be contacted.",
    ),
    Column(
        "place_by_value",
        "Place by expected value",
        "",
        "count",
        "Among all customers, 1 = most expected: whom to choose first, where not all can be "
        "contacted. Lists by it found more later revenue than lists by spend at earlier quarters' ends.",
    ),
)
_FORECAST = (
    _share(
        "chance",
        "Chance to order",
        "Within the days that forecasts cover (sheet About), if nothing is done.",
    ),
    Column("expected_orders", "Expected orders", "orders", "average", "In the same days."),
    _money(
        "expected_value",
        "Expected value",
        "Expected orders times the customer's own mean order: a ranking, no promise of revenue.",
    ),
)
"""No such columns where forecasts are withheld."""
_LAST_ORDER = Column("last_order", "Last order", "", "date", "Day of the last order that counts.")
_GIVEN_BACK = _money(
    "given_back",
    "Given back",
    "Part of what the customer spent; the order of the list counts what is left.",
)
_BREAK_EVEN = _share(
    "break_even_response",
    "Pays if so many order",
    "Part of the contacted who must order for the contact to pay for itself.",
)
_BREAK_EVEN_MEAN = _share(
    "break_even_mean",
    "Pays by the mean order",
    "The same by the mean order, where the typical one counts because the mean lies far above it.",
)
_BASE = _share(
    "base",
    "Response without campaign",
    "Part of the customers that orders within the period without any campaign.",
)
_DETECTABLE = _share(
    "detectable",
    "Smallest rise seen (points)",
    "Smallest rise of the response that a test of the whole segment finds, in percentage points.",
)
_PERIOD = _days("outcome_days", "Read out after (days)", "Days in which an order counts.")
_PLAY = _text("play", "Play", "What to try with the segment, in a few words.")

SHEET_COLUMNS: dict[str, dict[str, Column]] = {
    "profile": _by_name(
        _people("customers", "Customers", "Customers in the segment."),
        _share("customers_share", "Share of customers", "Part of all customers."),
        _money("revenue", "Revenue", "Sum of their total spent."),
        _share("revenue_share", "Share of revenue", "Part of all revenue."),
        _text(
            "stability",
            "Stability",
            "stable, uncertain or unstable (mean overlap below 0.6) when customers are drawn again; "
            "fewer than 30 are too few to say.",
        ),
        Column("jaccard", "Overlap", "", "score", "Mean overlap (Jaccard) over resamples, 0 to 1."),
    ),
    "summary": _by_name(
        _people("anomalies", "Unusual customers", "Listed on the sheet Unusual, with reasons."),
        _PLAY,
        _text("do", "What to do", "The next step."),
        _BREAK_EVEN,
        _BREAK_EVEN_MEAN,
        _text("list", "List", "Sheet that lists the customers by value."),
    ),
    "names": _by_name(
        _share("true_of", "True of", "Part of the members of whom the name is true."),
        _text("fact", "Why this name", "A measured fact the name rests on."),
    ),
    "recommendations": _by_name(
        _PLAY,
        Column("is_campaign", "Campaign", "", "flag", "The play is to contact the segment."),
        _text("why", "Why", "What in the numbers suggests it."),
        _text("gap", "What separates them", "Own figures against the next better segment."),
        _text("do", "Do", "The next step."),
        _text("measure", "Measure", "What tells whether it worked."),
        _people("customers", "Customers", "Customers in the segment."),
        _money("revenue", "Revenue", "Sum of their total spent."),
        _money("revenue_low", "Revenue, low end", "95% interval of the revenue."),
        _money("revenue_high", "Revenue, high end", "95% interval of the revenue."),
        _share("revenue_share", "Share of revenue", "Part of all revenue."),
        _share(
            "largest_share",
            "Share of the largest",
            "Part of the segment's revenue that its largest customer brings.",
        ),
        _money("revenue_per_customer", "Revenue per customer", "Mean total spent."),
        _share("one_time_share", "One-time buyers", "Part that ordered once only."),
        _days("median_recency", "Days since last order", "Median of the segment."),
        _money(
            "response_value",
            "Worth of a response",
            "What an order counts: the mean, or the typical one where the mean lies far above it.",
        ),
        _money(
            "mean_value",
            "Mean order",
            "Mean first order of those who came within the period after the end of one of the last "
            "four quarters, or after the cut; where too few did, mean of its customers' own mean orders.",
        ),
        _text("response_is", "Worth is of", "Which mean the mean order is."),
        _money(
            "typical_order",
            "Typical order",
            "Median of the same orders as the mean order.",
        ),
        _money(
            "value_in_period",
            "Spent in the period",
            "Mean of all that those who came spent within the period.",
        ),
        _BREAK_EVEN,
        _BREAK_EVEN_MEAN,
        _money(
            "cost_limit",
            "Most a contact may cost",
            "Where a contact costs more, break-even asks for more than twice as many orders as come anyway.",
        ),
        _money("campaign_cost", "Cost of a campaign", "To contact all once."),
        _PERIOD,
        _BASE,
        _share("base_low", "Response, low end", "95% interval of the response."),
        _share("base_high", "Response, high end", "95% interval of the response."),
        _people("base_customers", "Customers asked of", "Whom the response is of."),
        _text("base_is", "Response is of", "Today's customers, or those of the cut."),
        _people("base_ordered", "Orders counted", "Whose mean the mean order is."),
        _people("base_quarters", "Quarters", "In which these were counted; empty: after one cut."),
        _text("latest", "Last followed from", "Day from which the last quarter was followed."),
        _share("latest_base", "Response lately", "Part that ordered within the period after it."),
        _money("latest_value", "Worth lately", "Mean first order after that day."),
        _share("latest_forecast", "Forecast then", "What the same forecast had said of that part."),
        _days(
            "base_recency",
            "Days silent then",
            "Median days since the last order of those followed, at the cut.",
        ),
        _people("anomalies", "Unusual customers", "Customers flagged as unusual."),
        _DETECTABLE,
        Column(
            "is_supported", "Supported", "", "flag", "The data support a campaign on the segment."
        ),
        _text("limits", "Limits", "What the data cannot support, and why."),
    ),
    "campaign": _by_name(
        _PLAY,
        _people("treatment", "To contact", "Customers drawn to be contacted."),
        _people("control", "To leave alone", "Customers drawn as control."),
        Column(
            "spend_difference",
            "Difference in spend",
            "",
            "score",
            "Of the arms' mean spend, in standard deviations; below 0.1 is called balanced.",
        ),
        _PERIOD,
        _BASE,
        _DETECTABLE,
        _BREAK_EVEN,
        _BREAK_EVEN_MEAN,
    ),
    "call_first": _by_name(
        Column(
            "rank",
            "Place",
            "",
            "count",
            "1 = call first. Listed is who has more margin at stake than a call costs.",
        ),
        *(_LAST_ORDER, *_PLACE),
        _money(
            "value_at_risk",
            "Value at risk",
            "Mean order, after what was given back, times the fall of the chance to order: a ranking, no promise of revenue.",
        ),
        _share(
            "chance_before",
            "Chance to order before",
            "As it was at the end of the quarter before. Empty = not forecast.",
        ),
        _share("chance", "Chance to order now", "Empty = not forecast."),
        _GIVEN_BACK,
        _text("why", "Why", "The reason in words."),
    ),
    "slipping": _by_name(
        *(_LAST_ORDER, _ARM, _MESSAGE, *_PLACE, _GIVEN_BACK),
        _text("segment_from", "Segment before", "At the end of the quarter before."),
        _text(
            "what",
            "What",
            "fell a segment without an order since, or fell silent: ordered in the quarter before and not since.",
        ),
    ),
    LIST: _by_name(_LAST_ORDER, _ARM, _MESSAGE, *_PLACE, *_FORECAST),
    "anomalies": _by_name(_LAST_ORDER, _ARM, _MESSAGE, *_PLACE, *_FORECAST),
    "findings": _by_name(
        _text("severity", "Severity", "severe = settle it before acting on a list."),
        _text("title", "What was found", "What is wrong with the data."),
        _text("what_to_do", "What to do", "How to settle it."),
        Column("rows", "Rows", "order lines", "count", "Order lines that are affected."),
        _people("customers", "Customers", "Customers of these rows."),
        _money("amount", "Amount", "Their amount, exact."),
        _text("parameter", "Setting", "Which setting of the profile decides it."),
        _text("place", "Where", "Column of the source."),
        _text("treatment", "Treated", "What was done about it in this run."),
    ),
    "ledger": _by_name(
        _text("rule", "Rule", "Cleaning rule that set the rows aside."),
        Column("rows", "Rows", "order lines", "count", "Order lines; raw = all rules + kept."),
        _people("customers", "Customers", "Customers of these rows."),
        _money("amount", "Amount", "Their amount, exact; adds up to the cent."),
    ),
    "dictionary": _by_name(
        _text("sheet", "Sheet", "Sheet of this workbook."),
        _text("label", "Column", "Name in row 1 of the sheet."),
        _text("unit", "Unit", "Unit of the values; empty = none."),
        _text("meaning", "Meaning", "What the column says."),
        _text("column", "Name in the CSV file", "For programs."),
    ),
    "about": _by_name(
        _text("key", "What", "A fact about this workbook or its run."),
        _text("value", "Value", "The fact."),
    ),
}
