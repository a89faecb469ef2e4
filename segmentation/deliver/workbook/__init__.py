"""The workbook that the CRM team opens: who is who, a list per segment, and how it came about.

Every text is inert. A customer id such as ``=1+1`` or ``00123`` stays those characters:
no formula, no link, no number is ever made of a text, whatever program opens the file.
Amounts keep their cents, the same tables give the same bytes on any day, and the file
appears complete or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from segmentation.actions.campaign import another_currency
from segmentation.core.errors import OutputError
from segmentation.core.guarded_csv import write_guarded_csv
from segmentation.deliver.workbook import sheets
from segmentation.deliver.workbook import summary as summaries
from segmentation.deliver.workbook.cells import Counts, clean_text
from segmentation.deliver.workbook.columns import dictionary
from segmentation.deliver.workbook.definitions import LIST
from segmentation.deliver.workbook.inert_file import open_workbook
from segmentation.deliver.workbook.sheet_writer import SheetWriter
from segmentation.deliver.workbook.sheets import Sheet

MAX_ROWS = 1_048_575  # rows of a sheet below its header
MAX_COLUMNS = 16_384


def write_workbook(
    path: Path | str,
    *,
    segments: pd.DataFrame,
    customers: pd.DataFrame,
    profile: pd.DataFrame,
    ledger: pd.DataFrame,
    facts: pd.DataFrame,
    recommendations: pd.DataFrame,
    overview: Mapping[str, Any],
    currency: str,
    campaign: pd.DataFrame | None = None,
    findings: pd.DataFrame | None = None,
    colours: Mapping[str, str] | None = None,
    next_steps: Mapping[str, pd.DataFrame] | None = None,
    no_history: str = "",
    csv_folder: Path | None = None,
    max_rows: int = MAX_ROWS,
) -> dict[str, int]:
    """Write the workbook others act on: who is in which segment, why, and what to do.

    Sheets: Summary, the lists of `next_steps`, a list of each segment's customers by value (``1 High value``, …),
    Unusual with reasons, All customers, Recommendations, Campaign, Segment profile, Why
    these names, Data quality, Ledger, Definitions (every column of every sheet), About. Row 1
    says in words what a column is; programs read the CSV twins, whose columns have the names
    that `segmentation` uses, and which have the columns that no person reads as well.

    Parameters
    ----------
    path : Path
        File to write; its folder must exist. The previous file stays until the new one is
        complete.
    segments : DataFrame, one row per customer
        The segments table. More than `max_rows` customers continue on All customers 2, …
        Ids are text and stay the same characters.
    customers : DataFrame, one row per customer
        The same customers with every feature the source allows and the segment columns:
        what summary, lists and anomalies are made of. Where it has ``campaign_arm``, the
        lists say who is contacted and who is left alone.
    profile : DataFrame, one row per segment
        Size, revenue, mean and median of each feature. Shares are fractions of 1.
    ledger : DataFrame, one row per cleaning rule
        ``rule``, ``rows``, ``customers``, ``amount`` (Decimal). Amounts show every decimal
        they have; one of more than 15 digits is written as text, because a spreadsheet
        would round it.
    facts : DataFrame, several rows per segment
        ``segment_type``, ``cluster``, ``segment``, ``fact``: the evidence for the name.
    recommendations : DataFrame
        Any columns; unknown ones are formatted by dtype and name (``…_share`` and
        ``…response`` are percentages).
    overview : mapping of str to value
        Source, as_of, rows and so on, for the sheet About. Nothing is added to it that
        depends on the day.
    currency : str
        Account currency, the unit of money columns in the dictionary.
    campaign : DataFrame, one row per segment with a campaign, optional
        Sizes of both arms and what a test shows, for the sheet Campaign.
    findings : DataFrame, optional
        What is wrong with the data, for the sheet Data quality.
    colours : mapping of segment to colour, optional
        As the pages have them: of the summary's names, and of the lists' tabs.
    next_steps : mapping of sheet to DataFrame, optional
        Customers to turn to now: ``call_first``, ``slipping``.
    no_history : str, optional
        Why nobody is on those: no earlier quarter is known.
    csv_folder : Path, optional
        Folder that exists; gets a CSV twin of every sheet (``segments.csv`` of All customers,
        ``anomalies.csv`` of Unusual, …), with the same texts and a guard against formulas (`segmentation.core.guarded_csv`).
    max_rows : int
        Rows per sheet. The default is what the file format allows.

    Returns
    -------
    dict of str to int
        Rows per sheet by the name of its twin, then ``characters_replaced`` (characters no
        spreadsheet can hold, now U+FFFD), ``texts_cut`` (texts above 32,767 UTF-16 units,
        now ending in an ellipsis), ``infinities_emptied`` and ``numbers_as_text``. The last
        four should be 0; the sheet About repeats them. A customer counts once, however
        many sheets list it.

    Raises
    ------
    OutputError
        If the place cannot be written (full, read-only, missing), or a table has more
        columns or rows than a sheet holds. The previous file is untouched.
    ValueError
        If `max_rows` is not between 1 and 1,048,575.

    Notes
    -----
    Missing and infinite numbers become empty cells. Dates before 1 March 1900 are text,
    because programs disagree on them. Reading ids with pandas needs
    ``dtype={"Customer": str}, keep_default_na=False``: without
    it pandas itself turns the text ``00123`` into a number. Memory does not grow with the
    number of customers beyond the tables given.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> groups = {"segment_type": ["normal"], "cluster": [0], "segment": ["Loyal"]}
    >>> row = {"customer_id": ["00123"], "total_spent": [9.5], "is_anomaly": [False]} | groups
    >>> with TemporaryDirectory() as folder:
    ...     counts = write_workbook(
    ...         Path(folder, "customers.xlsx"),
    ...         segments=pd.DataFrame(row),
    ...         customers=pd.DataFrame(row),
    ...         profile=pd.DataFrame(groups | {"customers": [1], "customers_share": [1.0]}),
    ...         ledger=pd.DataFrame({"rule": ["kept"], "rows": [2], "amount": [Decimal("9.50")]}),
    ...         facts=pd.DataFrame(groups | {"fact": ["Orders more often than 90%."]}),
    ...         recommendations=pd.DataFrame(groups | {"play": ["Thank them"]}),
    ...         overview={"source": "cdnow", "as_of": "1998-06-30"},
    ...         currency="USD",
    ...     )
    ...     table = pd.read_excel(
    ...         Path(folder, "customers.xlsx"), sheet_name="All customers", dtype={"Customer": str}
    ...     )
    >>> counts["segments"], table.loc[0, "Customer"], float(table.loc[0, "Total spent"])
    (1, '00123', 9.5)
    """

    if not 1 <= max_rows <= MAX_ROWS:
        raise ValueError(f"max_rows={max_rows} is not between 1 and {MAX_ROWS:,}.")
    is_told = not another_currency(recommendations)
    if not is_told:
        unknown = dict.fromkeys(("break_even_response", "break_even_mean"), float("nan"))
        recommendations = recommendations.assign(**unknown)
        if campaign is not None:
            campaign = campaign.assign(**unknown)
    fixed = {
        "recommendations": recommendations,
        **({} if campaign is None else {"campaign": campaign}),
        "profile": profile,
        "names": facts,
        **({} if findings is None else {"findings": sheets.data_quality(findings)}),
        "ledger": ledger,
    }
    for name, table in {"segments": segments, **fixed}.items():
        _check_size(path, name, table, len(table) if name == "segments" else MAX_ROWS)
    rows: dict[str, int] = {}
    with open_workbook(Path(path)) as file:
        writer, titles = SheetWriter(file, currency, colours or {}), {}

        def write(sheet: Sheet) -> None:
            rows[sheet.name] = titles[sheet.title] = writer.add_table(sheet)
            if csv_folder is not None:
                _write_twin(sheet, csv_folder)

        lists = {
            name: sheets.with_day_and_arm(name, table, customers)
            for name, table in (next_steps or {}).items()
        }
        notes = summaries.summary_notes(overview, currency, findings, lists, is_told=is_told)
        given = (segments, customers, fixed, lists, currency, max_rows)
        groups = frozenset(customers["segment_type"].unique())
        for sheet in _sheets(*given, notes=notes, no_history=no_history):
            write(replace(sheet, groups=groups))
        money = _money(customers, ledger)
        table = summaries.about(overview, currency, titles, vars(writer.counts), money)
        write(Sheet("about", "about", table))
    return rows | vars(writer.counts)


def _sheets(
    segments: pd.DataFrame,
    customers: pd.DataFrame,
    fixed: Mapping[str, pd.DataFrame],
    next_steps: Mapping[str, pd.DataFrame],
    currency: str,
    max_rows: int,
    *,
    notes: tuple[str, ...],
    no_history: str,
) -> Iterator[Sheet]:
    """Every sheet but the last one, one at a time, so that only one list is in memory."""
    scale = sheets.exact_scale(fixed["ledger"])
    lists = sheets.segment_lists(customers, scale)
    summary = summaries.summary(customers, lists, fixed["recommendations"], scale)
    yield Sheet("summary", "summary", summary, notes=notes)
    for name, table in next_steps.items():
        for sheet in sheets.parts(sheets.numbered(name), name, table, max_rows, repeats=True):
            yield replace(sheet, notes=sheets.why_empty(table, no_history))
    yield from sheets.list_sheets(customers, lists, max_rows)
    yield from sheets.anomaly_sheets(customers, max_rows)
    yield from sheets.parts(sheets.numbered("segments"), "segments", segments, max_rows)
    for name, table in fixed.items():
        yield Sheet(name, name, table)
    columns = sheets.list_columns(customers)
    unusual = customers[[name for name in columns if name != "is_anomaly"]]
    described = {"summary": summary, **next_steps, LIST: customers[columns], "anomalies": unusual}
    described |= {"segments": segments, **fixed}
    yield Sheet("dictionary", "dictionary", dictionary(described, currency))


def _money(customers: pd.DataFrame, ledger: pd.DataFrame) -> dict[str, Decimal]:
    """What the customers spent and what the ledger kept: equal, to the cent."""
    spent = sheets.exact_revenue(customers, sheets.exact_scale(ledger))
    money = {"total spent by all customers": spent}
    if "amount" in ledger.columns and len(ledger):
        money["amount kept by the ledger"] = ledger["amount"].iloc[-1]
    return money


def _write_twin(sheet: Sheet, folder: Path) -> None:
    counted_already = Counts()
    write_guarded_csv(
        sheet.table,
        folder / f"{sheet.name}.csv",
        clean=lambda text: clean_text(text, counted_already),
    )


def _check_size(path: Path | str, name: str, table: pd.DataFrame, max_rows: int) -> None:
    n_rows, n_columns = table.shape
    if n_columns > MAX_COLUMNS or n_rows > max_rows:
        raise OutputError(
            f"Cannot write {path}: the sheet '{name}' would have {n_rows:,} rows and "
            f"{n_columns:,} columns, a sheet holds {MAX_ROWS:,} and {MAX_COLUMNS:,}; "
            "leave columns or rows out."
        )
