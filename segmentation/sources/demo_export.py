"""The demonstration marketplace as the files of an export."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from segmentation.core.atomic import in_words, refuse_existing
from segmentation.sources.demo import DEMO_SEED, generate_marketplace

MARKER = (
    "These tables are synthetic: `segmentation demo` wrote them with a seeded generator.\n"
    "No row describes a real person, shop or order.\n"
)


def write_marketplace(
    folder: Path, *, n_customers: int = 4000, seed: int = DEMO_SEED, replace: bool = False
) -> list[Path]:
    """Write the demonstration marketplace as the four CSV files of an export.

    A file ``SYNTHETIC.md`` beside them makes every page label the data as made up.
    UTF-8, ``\\n`` line ends, text and amounts quoted, counts and prices bare; never the truth.
    All four are complete before the first takes its name: dying while writing loses nothing.

    Returns
    -------
    list of Path
        ``customer_detail.csv``, ``order_detail.csv``, ``sku_detail.csv``, ``payment_detail.csv``.

    Raises
    ------
    ValueError
        If `n_customers` is below 1; nothing is written then.
    OutputError
        If the folder cannot be written, or holds another file of such a name and ``replace``
        is false; the files before stay.
    """
    demo = generate_marketplace(n_customers=n_customers, seed=seed)
    names = ("customer_detail", "order_detail", "sku_detail", "payment_detail")
    texts = {f"{name}.csv": _csv(getattr(demo, name)) for name in names}
    texts["SYNTHETIC.md"] = MARKER
    parts = {folder / name: folder / f".{name}.part" for name in texts}
    if not replace:
        for path in parts:
            if not (path.is_file() and path.read_bytes() == texts[path.name].encode("utf-8")):
                refuse_existing(path)
    with in_words(folder, also=folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for text, part in zip(texts.values(), parts.values(), strict=True):
                part.write_bytes(text.encode("utf-8"))
            return [part.replace(path) for path, part in parts.items()][: len(names)]
        finally:
            for part in parts.values():
                part.unlink(missing_ok=True)


def _csv(table: pd.DataFrame) -> str:
    """Quote text, leave integers and the price bare, as in a marketplace's export."""
    columns = []
    for name, values in table.items():
        mark = "" if name == "price" or pd.api.types.is_integer_dtype(values) else '"'
        columns.append([f'"{name}"', *(f"{mark}{value}{mark}" for value in values)])
    return "".join(",".join(row) + "\n" for row in zip(*columns, strict=True))
