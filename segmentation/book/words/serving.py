"""Ready-to-run calls of the scoring API, with this run's own numbers."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from segmentation.book.words.text import in_runs

ADDRESS = "http://127.0.0.1:8000"


def api_examples(customers: pd.DataFrame, features: list[str], folder_name: str) -> str:
    """The same call with curl, Python and JavaScript, and what it answers.

    Parameters
    ----------
    customers : DataFrame, one row per customer, with segment columns
        The example is a made-up customer with the medians of the largest segment.
    features : list of str
        Features of the model.
    folder_name : str
        Name of the run's folder.

    Returns
    -------
    str
        Markdown. Each block runs as it stands once the server runs.
    """
    kind, segment = customers.groupby(["segment_type", "segment"], sort=True).size().idxmax()
    members = customers[(customers["segment_type"] == kind) & (customers["segment"] == segment)]
    customer = _median_customer(members, features)
    if customers["segment_type"].nunique() > 1 and "register_to_order" not in features:
        customer["segment_type"] = str(kind)
    body = json.dumps({"customers": [customer]})
    return "\n".join(
        [
            f"Start the server, `segmentation serve {in_runs(folder_name, '/model')}`, and ask for a "
            f"customer with the medians of the largest segment ({segment}, n = {len(members):,}; "
            f"group `{kind}`). The page `{ADDRESS}/docs` documents every call.",
            "",
            "```bash",
            f"curl -s {ADDRESS}/v1/segments -H 'Content-Type: application/json' \\",
            f"  -d '{body}'",
            "```",
            "",
            "```python",
            "import json",
            "from urllib.request import Request, urlopen",
            "",
            f"customer = {_python_literal(customer)}",
            'body = json.dumps({"customers": [customer]}).encode()',
            f'request = Request("{ADDRESS}/v1/segments", body, {{"Content-Type": "application/json"}})',
            "with urlopen(request) as answer:",
            '    print(json.load(answer)["customers"][0]["segment"])',
            "```",
            "",
            "```javascript",
            f'fetch("{ADDRESS}/v1/segments", {{',
            '  method: "POST",',
            '  headers: { "Content-Type": "application/json" },',
            f"  body: JSON.stringify({body}),",
            "})",
            "  .then((answer) => answer.json())",
            "  .then((found) => console.log(found.customers[0].segment));",
            "```",
        ]
    )


def _median_customer(members: pd.DataFrame, features: list[str]) -> dict[str, Any]:
    customer: dict[str, Any] = {"customer_id": "C-001"}
    for name in features:
        median = members[name].median()
        customer[name] = None if pd.isna(median) else round(float(median), 2)
    return customer


def _python_literal(customer: dict[str, Any]) -> str:
    return "{" + ", ".join(f'"{name}": {value!r}' for name, value in customer.items()) + "}"
