"""What is said of customer ids and files that are not what they should be."""

from __future__ import annotations

_ALWAYS, _NEVER = 0.0, float("inf")
_LEFT_OUT = "Read without it, so that one customer is one. `id_cleaning: off` leaves it."
_REPAIRED = {
    "invisible_in_id": "invisible characters in ids",
    "blank_in_id": "blanks at the ends of ids",
    "decomposed_id": "accents of ids written as two characters",
    "decimal_id": "ids that end in .0",
    "address_in_capitals": "e-mail addresses in capitals as ids",
    "lost_zeros_matched": "leading zeros of ids",
    "alike_id": "capitals and blanks in ids",
}
ID_WORDS: dict[str, tuple[str, str, str, float]] = {
    "guest_id": (
        "one id that stands for many people",
        "Many people's orders under one id, so set aside as lines without a customer: nobody is "
        "contacted by it. If one of these is a customer, name the others in `guest_ids`, or none "
        "(`[]`). Ask whether orders of guests carry an e-mail address to go by.",
        "guest_ids",
        _ALWAYS,
    ),
    "many_orders_under_one_id": (
        "far more orders than anybody else",
        "Several times the orders of the next busiest: a very large buyer, or an id that guests "
        "share. Counted as a customer, but on no list of a campaign. If it is none, name it in "
        "`guest_ids`; if all are customers, set `guest_ids: []`.",
        "guest_ids",
        _ALWAYS,
    ),
    "placeholder_id": (
        "a word for nothing as customer id",
        "Written by a program that had no id; read as missing. Export the table again with empty "
        "values. If it is an id, set `id_cleaning: off`.",
        "id_cleaning",
        _ALWAYS,
    ),
    "lost_zeros": (
        "ids that differ in leading zeros only",
        "One customer counted as two, if 7 is 007. Set `id_cleaning: match` if it is, or export "
        "the ids as text.",
        "id_cleaning",
        _ALWAYS,
    ),
    "scientific_id": (
        "ids as numbers with an exponent",
        "A spreadsheet cut the ids: different customers are one here, and nothing brings the "
        "digits back. Export again from the shop system, with the ids as text.",
        "",
        _ALWAYS,
    ),
    "cut_digits": (
        "long ids that all end in zeros",
        "A spreadsheet keeps 15 digits: different customers are one here. Export again from the "
        "shop system, with the ids as text.",
        "",
        _ALWAYS,
    ),
    "hidden_rows": (
        "rows of a workbook that a filter hides",
        "Read and counted like all others. If they are no orders, delete them and save it again.",
        "tables",
        _NEVER,
    ),
    **{name: (title, _LEFT_OUT, "id_cleaning", _NEVER) for name, title in _REPAIRED.items()},
}
"""Finding to title, what it means and what to do, the parameter, and the share of revenue from which
it is severe."""
