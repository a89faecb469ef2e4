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


_ARM = Column(
    "campaign_arm",
    "Campaign arm",
    "",
    "text",
    "treatment = contact, control = leave alone; drawn by lot. Empty = no campaign.",
)
_LAST_ORDER = Column("last_order", "Last order", "", "date", "Day of the last order that counts.")
_BREAK_EVEN = Column(
    "break_even_response",
    "Pays if so many order",
    "%",
    "share",
    "Part of the contacted who must order for the contact to pay for itself.",
)
_BASE = Column(
    "base",
    "Response without campaign",
    "%",
    "share",
    "Part of the customers that orders within the period without any campaign.",
)
_DETECTABLE = Column(
    "detectable",
    "Smallest rise found",
    "%",
    "share",
    "Smallest rise of the response that a test of the whole segment finds, in points.",
)
_PERIOD = Column("outcome_days", "Read out after", "days", "days", "Days in which an order counts.")
_PLAY = Column("play", "Play", "", "text", "What to try with the segment, in a few words.")

SHEET_COLUMNS: dict[str, dict[str, Column]] = {
    "profile": _by_name(
        Column("customers", "Customers", "customers", "count", "Customers in the segment."),
        Column("customers_share", "Share of customers", "%", "share", "Part of all customers."),
        Column("revenue", "Revenue", "currency", "money", "Sum of their total spent."),
        Column("revenue_share", "Share of revenue", "%", "share", "Part of all revenue."),
        Column(
            "stability",
            "Stability",
            "",
            "text",
            "stable, uncertain or unstable (mean Jaccard below 0.6) when customers are drawn again; "
            "fewer than 30 are too few to say.",
        ),
        Column("jaccard", "Jaccard", "", "score", "Mean Jaccard over resamples, 0 to 1."),
    ),
    "summary": _by_name(
        Column("anomalies", "Anomalies", "customers", "count", "Customers flagged as unusual."),
        _PLAY,
        Column("do", "What to do", "", "text", "The next step."),
        _BREAK_EVEN,
        Column("list", "List", "", "text", "Sheet that lists the customers by value."),
    ),
    "names": _by_name(
        Column("true_of", "True of", "%", "share", "Part of the members of whom the name is true."),
        Column("fact", "Why this name", "", "text", "A measured fact the name rests on."),
    ),
    "recommendations": _by_name(
        _PLAY,
        Column("is_campaign", "Campaign", "", "flag", "The play is to contact the segment."),
        Column("why", "Why", "", "text", "What in the numbers suggests it."),
        Column(
            "gap", "What separates them", "", "text", "Own figures against the next better segment."
        ),
        Column("do", "Do", "", "text", "The next step."),
        Column("measure", "Measure", "", "text", "What tells whether it worked."),
        Column("customers", "Customers", "customers", "count", "Customers in the segment."),
        Column("revenue", "Revenue", "currency", "money", "Sum of their total spent."),
        Column(
            "revenue_low", "Revenue, low end", "currency", "money", "95% interval of the revenue."
        ),
        Column(
            "revenue_high", "Revenue, high end", "currency", "money", "95% interval of the revenue."
        ),
        Column("revenue_share", "Share of revenue", "%", "share", "Part of all revenue."),
        Column(
            "largest_share",
            "Share of the largest",
            "%",
            "share",
            "Part of the segment's revenue that its largest customer brings.",
        ),
        Column(
            "revenue_per_customer", "Revenue per customer", "currency", "money", "Mean total spent."
        ),
        Column("one_time_share", "One-time buyers", "%", "share", "Part that ordered once only."),
        Column("median_recency", "Days since last order", "days", "days", "Median of the segment."),
        Column(
            "response_value",
            "Worth of a response",
            "currency",
            "money",
            "Mean first order after the cut of those who ordered within the period; where too few "
            "did, mean order in the window.",
        ),
        Column("response_is", "Worth is of", "", "text", "Which mean the worth of a response is."),
        Column(
            "typical_order",
            "Order of the typical customer",
            "currency",
            "money",
            "Median of the customers' own mean orders.",
        ),
        Column(
            "value_in_period",
            "Spent in the period",
            "currency",
            "money",
            "Mean of all that those who ordered after the cut spent within the period.",
        ),
        _BREAK_EVEN,
        Column(
            "cost_limit",
            "Most a contact may cost",
            "currency",
            "money",
            "Where a contact costs more, break-even asks for more than twice as many orders.",
        ),
        Column("campaign_cost", "Cost of a campaign", "currency", "money", "To contact all once."),
        _PERIOD,
        _BASE,
        Column("base_low", "Response, low end", "%", "share", "95% interval of the response."),
        Column("base_high", "Response, high end", "%", "share", "95% interval of the response."),
        Column(
            "base_customers", "Customers asked of", "customers", "count", "Whom the response is of."
        ),
        Column("base_is", "Response is of", "", "text", "Today's customers, or those of the cut."),
        Column("base_ordered", "Ordered after the cut", "customers", "count", "Within the period."),
        Column(
            "base_recency",
            "Days silent then",
            "days",
            "days",
            "Median days since the last order of those followed, at the cut.",
        ),
        Column("anomalies", "Anomalies", "customers", "count", "Customers flagged as unusual."),
        _DETECTABLE,
        Column(
            "is_supported", "Supported", "", "flag", "The data support a campaign on the segment."
        ),
        Column("limits", "Limits", "", "text", "What the data cannot support, and why."),
    ),
    "campaign": _by_name(
        _PLAY,
        Column("treatment", "To contact", "customers", "count", "Customers drawn to be contacted."),
        Column("control", "To leave alone", "customers", "count", "Customers drawn as control."),
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
    ),
    "call_first": _by_name(
        Column("rank", "Place", "", "count", "1 = call first."),
        Column(
            "value_at_risk",
            "Value at risk",
            "currency",
            "money",
            "Mean order times the fall of the chance to order: a ranking, no promise of revenue.",
        ),
        Column(
            "chance_before",
            "Chance to order before",
            "%",
            "share",
            "As it was at the end of the quarter before. Empty = not forecast.",
        ),
        Column("chance", "Chance to order now", "%", "share", "Empty = not forecast."),
        Column("why", "Why", "", "text", "The reason in words."),
    ),
    "slipping": _by_name(
        Column("segment_from", "Segment before", "", "text", "At the end of the quarter before."),
        Column(
            "what",
            "What",
            "",
            "text",
            "fell a segment, or fell silent: ordered in the quarter before and not since.",
        ),
    ),
    LIST: _by_name(_LAST_ORDER, _ARM),
    "anomalies": _by_name(_LAST_ORDER, _ARM),
    "findings": _by_name(
        Column("severity", "Severity", "", "text", "severe = settle it before acting on a list."),
        Column("title", "What was found", "", "text", "What is wrong with the data."),
        Column("what_to_do", "What to do", "", "text", "How to settle it."),
        Column("rows", "Rows", "order lines", "count", "Order lines that are affected."),
        Column("customers", "Customers", "customers", "count", "Customers of these rows."),
        Column("amount", "Amount", "currency", "money", "Their amount, exact."),
        Column("parameter", "Parameter", "", "text", "Which setting of the profile decides it."),
        Column("place", "Where", "", "text", "Column of the source."),
        Column("treatment", "Treated", "", "text", "What was done about it in this run."),
    ),
    "ledger": _by_name(
        Column("rule", "Rule", "", "text", "Cleaning rule that set the rows aside."),
        Column("rows", "Rows", "order lines", "count", "Order lines; raw = all rules + kept."),
        Column("customers", "Customers", "customers", "count", "Customers of these rows."),
        Column(
            "amount", "Amount", "currency", "money", "Their amount, exact; adds up to the cent."
        ),
    ),
    "dictionary": _by_name(
        Column("sheet", "Sheet", "", "text", "Sheet of this workbook."),
        Column("label", "Column", "", "text", "Name in row 1 of the sheet."),
        Column("unit", "Unit", "", "text", "Unit of the values; empty = none."),
        Column("meaning", "Meaning", "", "text", "What the column says."),
        Column("column", "Name in the CSV file", "", "text", "For programs."),
    ),
    "about": _by_name(
        Column("key", "What", "", "text", "A fact about this workbook or its run."),
        Column("value", "Value", "", "text", "The fact."),
    ),
}
