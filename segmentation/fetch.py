"""Data sets that are not shipped: download or import, checked against what is published."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

from segmentation.atomic import atomic_path, in_words, scratch_folder
from segmentation.download import download, remove_part
from segmentation.engine import DuckDbEngine
from segmentation.errors import SourceError
from segmentation.ingest import ingest
from segmentation.params import PROJECT_ROOT
from segmentation.raw_files import RAW_SUFFIXES, file_fingerprint
from segmentation.source_sql import find_source

SOURCE = "online_retail"
URL = "https://archive.ics.uci.edu/static/public/352/online+retail.zip"
FOLDER = PROJECT_ROOT / "data" / "raw_data" / "online_retail"


@dataclass(frozen=True)
class Totals:
    """What a data set adds up to, whichever kind of file holds it."""

    lines: int
    customers: int
    invoices: int
    units: int
    amount: Decimal


PUBLISHED = Totals(541_909, 4_372, 25_900, 5_176_450, Decimal("9747747.934"))
"""UCI Online Retail before any cleaning; units and amount net of returns, amount in GBP."""
_TOTALS_SQL = """
SELECT COUNT(*) AS lines, COUNT(DISTINCT customer_id) AS customers,
       COUNT(DISTINCT order_id) AS invoices, SUM(quantity) AS units, SUM(amount) AS amount
FROM transactions
"""


def fetch_online_retail(
    *,
    from_file: Path | None = None,
    url: str = URL,
    folder: Path = FOLDER,
    sha256: str | None = None,
    timeout: float = 30,
) -> tuple[Path, str]:
    """Put UCI Online Retail where the profile ``online_retail`` looks for it.

    UCI publishes no checksum. What arrives is therefore read as a run reads it, and its
    lines, customers, invoices, units and money must be those published, to the last digit;
    `sha256`, where given, must fit besides. The file appears complete and checked or not
    at all.

    Returns
    -------
    (Path, str)
        The file, and one sentence about what was checked.

    Raises
    ------
    SourceError
        If the file cannot be had, or is not the data set.
    OutputError
        If it cannot be written.
    """
    there = [path for path in _places(folder) if path.is_file()]
    if there:
        return there[0], f"already there; {_checked(there[0], sha256)}"
    with in_words(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if from_file is not None:
        return _import(from_file, folder, sha256)
    part = folder / f".{SOURCE}.part"
    download(url, part, timeout=timeout, label=SOURCE)
    with scratch_folder(folder / SOURCE) as scratch:
        arrived = scratch / f"{SOURCE}{kind_of(part)}"
        part.replace(arrived)
        remove_part(part)
        said = _checked(arrived, sha256)
        with atomic_path(folder / arrived.name) as temporary:
            arrived.replace(temporary)
    return folder / arrived.name, said


def _places(folder: Path) -> list[Path]:
    return [folder / f"{SOURCE}{suffix}" for suffix in RAW_SUFFIXES]


def _import(copy: Path, folder: Path, sha256: str | None) -> tuple[Path, str]:
    if not copy.is_file():
        raise SourceError(f"--from-file {copy}: no such file.")
    target = folder / f"{SOURCE}{copy.suffix.lower()}"
    with scratch_folder(folder / SOURCE) as scratch, atomic_path(target) as temporary:
        own = scratch / copy.name  # what is checked is what is kept
        shutil.copyfile(copy, own)
        said = _checked(own, sha256)
        own.replace(temporary)
    return target, said


def kind_of(path: Path) -> str:
    """Ending that the contents of a file deserve, whatever its name was.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "arrived")
    ...     _ = path.write_bytes(b"PAR1...")
    ...     kind_of(path)
    '.parquet'
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        return ".parquet"
    if not zipfile.is_zipfile(path):
        return ".zip" if start.startswith(b"PK") else ".csv"
    with zipfile.ZipFile(path) as archive:
        return ".xlsx" if "xl/workbook.xml" in archive.namelist() else ".zip"


def _checked(path: Path, sha256: str | None) -> str:
    """Refuse a file that is not the data set; say what was checked."""
    digest = file_fingerprint(path)["sha256"]
    if sha256 is not None and digest != sha256.lower():
        raise SourceError(
            f"{path.name}: its SHA-256 is {digest}, not the one given; download it again."
        )
    found = totals_of(path)
    differing = [
        f"{found_value:,} {name} instead of {wanted:,}"
        for (name, found_value), wanted in zip(
            asdict(found).items(), asdict(PUBLISHED).values(), strict=True
        )
        if found_value != wanted
    ]
    if differing:
        raise SourceError(
            f"{path.name}: is not UCI Online Retail as published, it has {', '.join(differing)}; "
            "a file of your own goes to the report by -p location FILE."
        )
    return (
        f"{found.lines:,} lines, {found.customers:,} customers, {found.invoices:,} invoices, "
        f"{found.units:,} units and GBP {found.amount:,} as published; sha256 {digest}"
    )


def totals_of(path: Path) -> Totals:
    """Lines, customers, invoices, units and money of a copy, read as a run reads it.

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    engine = DuckDbEngine()
    try:
        ingest(engine, find_source(SOURCE, str(path.absolute())))
        row = engine.query(_TOTALS_SQL).iloc[0]
    finally:
        engine.files.close()
        engine.close()
    return Totals(
        lines=int(row["lines"]),
        customers=int(row["customers"]),
        invoices=int(row["invoices"]),
        units=int(row["units"] or 0),
        amount=Decimal(row["amount"] or 0),
    )
