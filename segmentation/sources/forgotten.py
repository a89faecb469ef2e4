"""Customers who asked to be forgotten: a list of hashes that every reading of orders leaves out.

The list is one file per folder of runs. It must outlive the orders' next export, which may
bring such a customer back, and must not itself name who is on it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from segmentation.core.atomic import atomic_path
from segmentation.core.errors import OutputError, SourceError
from segmentation.sources.engine import Engine

LIST = "forgotten.json"
_LINES = "SELECT customer_id, COUNT(*) AS n FROM lines GROUP BY customer_id"
_HASH = "SHA256(CONCAT($salt, customer_id))"


@dataclass(frozen=True)
class Forgotten:
    """Hashes of customers' ids, each taken with the list's own random salt.

    What that protects: the file alone names nobody, no table of hashes computed before
    serves to read it, and the lists of two shops cannot be compared. What it does not: whoever
    has the file may try ids, and where ids are running numbers all of them are tried in
    seconds. The list is therefore personal data too, for its owner's eyes only (mode 600).
    """

    salt: str = ""
    hashes: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.hashes)

    def hash_of(self, customer: str) -> str:
        """Hash of an id; `_HASH` says the same in SQL."""
        return hashlib.sha256((self.salt + customer).encode("utf-8", "replace")).hexdigest()

    def hold(self, customers: Iterable[str | None]) -> list[bool]:
        """Whether each of these customers is on the list; nobody is on an empty one."""
        asked = bool(self.hashes)
        return [asked and bool(one) and self.hash_of(str(one)) in self.hashes for one in customers]

    def with_customers(self, customers: Iterable[str]) -> Forgotten:
        """The list with these customers on it too.

        Examples
        --------
        >>> listed = Forgotten("salt").with_customers(["00123", "00123", "=1+1"])
        >>> len(listed), listed.hash_of("00123") in listed.hashes
        (2, True)
        """
        return replace(self, hashes=self.hashes | {self.hash_of(each) for each in customers})

    @property
    def fingerprint(self) -> str:
        """Hash of the whole list: another list never reuses what was computed with this one."""
        return hashlib.sha256("\n".join([self.salt, *sorted(self.hashes)]).encode()).hexdigest()


NOBODY = Forgotten()


@dataclass(frozen=True)
class LeftOut:
    """Lines of forgotten customers that a source held, counted for the ledger."""

    rows: int
    customers: int
    amount: Decimal


def read_list(runs_dir: Path) -> Forgotten:
    """The list of a folder of runs; empty where there is none.

    Raises
    ------
    SourceError
        If it is there and cannot be read: nobody on it may come back by a damaged file.
    """
    path = runs_dir / LIST
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return Forgotten(str(read["salt"]), frozenset(map(str, read["sha256"])))
    except FileNotFoundError:
        return Forgotten()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path}: the list of forgotten customers cannot be read ({type(error).__name__}); "
            "restore it or get the permission to read it."
        ) from None


def write_list(runs_dir: Path, listed: Forgotten) -> None:
    """Put a list in the place of the one before, readable by its owner only.

    Raises
    ------
    OutputError
        If it cannot be written; the list before stays.
    """
    path = runs_dir / LIST
    document = {
        "what": "salted hashes of customers to leave out; segmentation forget writes them",
        "salt": listed.salt,
        "sha256": sorted(listed.hashes),
    }
    with atomic_path(path) as temporary:
        if not path.exists():
            temporary.chmod(0o600)
        temporary.write_text(json.dumps(document, indent=0) + "\n", encoding="utf-8")


@contextmanager
def held(runs_dir: Path, *, alone: bool = False) -> Iterator[None]:
    """Hold a folder of runs: any number may compute in it, one ``alone`` may forget.

    A run that began before somebody was forgotten would bring them back at its end.

    Raises
    ------
    OutputError
        If it is to be held alone while somebody computes.
    """
    place = os.open(runs_dir, os.O_RDONLY)
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
    except BlockingIOError:
        os.close(place)
        raise OutputError(
            f"--runs-dir {runs_dir}: a run or report is at work there; wait for its end, "
            "then forget again."
        ) from None
    except OSError:
        pass  # a file system that knows no locks
    try:
        yield
    finally:
        os.close(place)


def create_without(
    engine: Engine, table: str, lines: str, listed: Forgotten, *, amount: str
) -> LeftOut | None:
    """Define a table of the lines that a source gives, without those of forgotten customers.

    Parameters
    ----------
    lines : str
        A query with ``customer_id`` as text, and the column that ``amount`` names.

    Returns
    -------
    LeftOut or None
        What was left out; None where nobody is on the list, which then costs nothing.

    Notes
    -----
    Ids are hashed once for each customer and not for each line: a database runs the
    table's query again in every query that reads it.
    """
    if not listed:
        engine.create(table, lines)
        return None
    parsed: Any = sqlglot.parse_one(lines, dialect="duckdb")
    grouped: Any = sqlglot.parse_one(_LINES, dialect="duckdb")
    grouped.find(exp.Table).replace(parsed.subquery("lines"))
    total = exp.func("COALESCE", exp.func("SUM", exp.column(amount)), exp.Literal.number(0))
    hashed: Any = sqlglot.parse_one(_HASH, dialect="duckdb")
    # a hash is hexadecimal, so it may stand in the text: thousands of bound values are slow
    hashes = [exp.Literal.string(text) for text in sorted(listed.hashes)]
    query = grouped.select(exp.alias_(total, "amount"), copy=False).having(
        _is_among(hashed, hashes), copy=False
    )
    found = engine.query(query.sql("duckdb"), {"salt": listed.salt})
    ids = {f"c{number}": text for number, text in enumerate(found["customer_id"])}
    if ids:
        customer = exp.column("customer_id")
        bound = [exp.Placeholder(this=name) for name in ids]
        others = exp.or_(
            customer.is_(exp.null()),
            exp.not_(_is_among(customer.copy(), bound), copy=False),
            copy=False,
        )
        parsed = exp.select("*").from_(parsed.subquery("lines")).where(others, copy=False)
    engine.create(table, parsed.sql("duckdb"), ids)
    amounts = [Decimal(value) for value in found["amount"]]
    return LeftOut(int(found["n"].sum()), len(ids), sum(amounts, Decimal(0)))


def _is_among(value: Any, texts: Iterable[exp.Expression]) -> Any:
    """The condition that a text is one of many, as a join and not one by one."""
    listed = exp.Values(
        expressions=[exp.Tuple(expressions=[text]) for text in texts],
        alias=exp.TableAlias(
            this=exp.to_identifier("listed"), columns=[exp.to_identifier("listed_id")]
        ),
    )
    return value.isin(query=exp.select("listed_id").from_(listed, copy=False), copy=False)
