"""Data sets as their donors publish them: download or import, checked against what is published."""

from __future__ import annotations

import logging
import re
import shutil
import zipfile
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pooch

from segmentation.core.atomic import atomic_path, in_words, scratch_folder
from segmentation.core.errors import ParameterError, SourceError
from segmentation.core.parameters import PROJECT_ROOT
from segmentation.core.progress import progress_bar
from segmentation.orders.transactions import ingest
from segmentation.sources.engine import DuckDbEngine
from segmentation.sources.files import RAW_SUFFIXES, file_fingerprint
from segmentation.sources.source import find_source

SOURCE = "online_retail"
URL = "https://archive.ics.uci.edu/static/public/352/online+retail.zip"
FOLDER = PROJECT_ROOT / "data" / "raw_data" / "online_retail_original"
"""Beside the shipped Parquet file: two files of one table in a folder are refused."""


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
    """Put UCI Online Retail, as its donor published it, into a folder of its own.

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
    ParameterError
        If `url` is no address of a file on a server, or holds a password.
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
    _check_address(url)
    with scratch_folder(folder / SOURCE) as scratch:
        part = _download(url, scratch, timeout=timeout)
        arrived = part.rename(scratch / f"{SOURCE}{kind_of(part)}")
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


def _check_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise ParameterError("--url: give https://host/file; a file of this machine: --from-file.")
    if parts.username or parts.password:
        raise ParameterError("--url: holds a user or password; give an address without.")


_FAULTS = {
    r"SSLError": "the server cannot prove who it is (certificate)",
    r"TooManyRedirects": "the server redirects without end",
    r"timed out|Timeout": "the server sent nothing for {seconds:g} seconds",
    r"ChunkedEncodingError|IncompleteRead": "the connection broke before the end of the file",
}
"""What goes wrong on the way: part of the HTTP library's words, and ours."""


def _download(url: str, folder: Path, *, timeout: float) -> Path:
    """The file at an address, as it comes: nobody has looked at it yet.

    Raises
    ------
    SourceError
        If the server does not answer, does not have it, or breaks off.
    """
    pooch.get_logger().setLevel(logging.ERROR)  # it would print where the folder is
    headers = {"Accept-Encoding": "identity"}
    try:
        with progress_bar(total=1, unit="B", unit_scale=True, desc=SOURCE) as bar:
            ask = pooch.HTTPDownloader(bar, chunk_size=1 << 16, timeout=timeout, headers=headers)
            return Path(pooch.retrieve(url, None, fname=SOURCE, path=folder, downloader=ask))
    except OSError as error:
        if error.errno is not None:  # the disk's; a fault on the way has no number
            raise
        said = f"{type(error).__name__} {error}"
        found = (words for pattern, words in _FAULTS.items() if re.search(pattern, said))
        why = next(found, "the server cannot be reached").format(seconds=timeout)
        answer = getattr(error, "response", None)
        if type(error).__name__ == "HTTPError" and answer is not None:
            why = f"the server answers {answer.status_code} {answer.reason}".strip()
        parts = urlsplit(url)
        raise SourceError(
            f"{parts.scheme}://{parts.netloc}{parts.path}: {why}; run it again, or give a copy "
            "from elsewhere by --from-file."
        ) from None


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
