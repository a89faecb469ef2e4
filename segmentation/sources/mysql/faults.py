"""Faults of a MySQL or MariaDB server, or of its driver, in one sentence each."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from segmentation.core.errors import SourceError, in_one_sentence
from segmentation.sources.mysql.address import Address

_REACH = "check host, port and that the server runs"
_LOST = "previous outputs are unchanged, run it again"
_ACCESS = "check user and password in the option file or the environment"
_SENTENCES: dict[int, str] = {
    2002: "cannot be reached; " + _REACH,
    2003: "cannot be reached; " + _REACH,
    2005: "is no known host; " + _REACH,
    1040: "has too many connections; try again later",
    1129: "has blocked this machine after many errors; its administrator can FLUSH HOSTS",
    1130: "does not let this machine in; its administrator can permit it",
    1045: "refuses the user or the password; " + _ACCESS,
    1044: "does not let the user into database {database}; its administrator can GRANT SELECT",
    1698: "refuses the user or the password; " + _ACCESS,
    1049: "has no database {database}; check the location",
    2006: "went away; " + _LOST,
    2013: "broke the connection off or did not answer in time ({read_timeout} s); " + _LOST,
    2055: "broke the connection off; " + _LOST,
    1053: "is shutting down; " + _LOST,
    1927: "broke the connection off; " + _LOST,
    1317: "interrupted the query; " + _LOST,
    3024: "did not answer within {read_timeout} seconds; raise read_timeout in the location",
    1969: "did not answer within {read_timeout} seconds; raise read_timeout in the location",
    1205: "has the tables locked by somebody else for over {lock_timeout} seconds; try again later",
    1213: "broke off a deadlock; run it again",
    1412: "changed the definition of a table meanwhile; run it again",
    1021: "has no disk space left; its administrator can free some",
    1114: "has no space left for a table; its administrator can free some",
    1298: "lacks the tables of time zones; its administrator can load them "
    "(mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql mysql), or set time_zone: UTC",
    1153: "takes no statement that large; its administrator can raise max_allowed_packet",
    2020: "sends a row that is larger than its max_allowed_packet; its administrator can raise it",
    1290: "does not permit this in read-only mode; name a server that may be written",
    1792: "does not permit writing in a read-only transaction",
}
_SAID_BY_SERVER = {
    1142: "does not permit reading a table",
    1143: "does not permit reading a column",
    1227: "does not permit this",
    1146: "has no such table",
    1051: "has no such table",
    1054: "has no such column",
    1356: "has a view that cannot be read",
    1690: "met a number out of range",
    1264: "met a number out of range",
    1366: "met a value of the wrong kind",
    1406: "met a text too long for its column",
}
_WRITING = re.compile(r"\b(CREATE|INSERT|ALTER|DROP|INDEX|UPDATE|DELETE)\b[A-Z, ]* command denied")
_TLS_WORDS = re.compile(r"ssl|tls|certificate", re.I)


def explained(error: Exception, address: Address) -> SourceError:
    """A fault of the server or the driver as one sentence with what to do about it."""
    number = getattr(error, "errno", None) or 0
    text = str(getattr(error, "msg", "") or error)
    if number in (2026, 2055, -1, 2000, 0) and _TLS_WORDS.search(text):
        return SourceError(
            f"MySQL at {address.server} cannot prove over TLS that it is {address.host} "
            f"({_reason(text)}); give its authority as ssl-ca in the option file, or set "
            "tls=unverified in the location if that is safe."
        )
    if number in (-1, 2055) and re.search(r"refused|unreachable|time", text, re.I):
        number = 2003
    if number == -1 and "not available" in text:  # closed by the driver after a time-out
        number = 2013
    if number in _SENTENCES:
        words = _SENTENCES[number].format(**vars(address))
        return SourceError(f"MySQL at {address.server} {words}.")
    if number == 1142 and _WRITING.search(text):
        return SourceError(
            f"MySQL at {address.server} does not permit writing: {_reason(text)}; its "
            "administrator can GRANT CREATE, INSERT, ALTER, DROP on the database."
        )
    if number in (1217, 1451, 3730):
        return SourceError(
            f"MySQL at {address.server} keeps a table that a foreign key refers to: "
            f"{_reason(text)}; drop that key and run it again."
        )
    if number in _SAID_BY_SERVER:
        return SourceError(
            f"MySQL at {address.server} {_SAID_BY_SERVER[number]}: {_reason(text)}; "
            "correct the SELECT, or ask its administrator for GRANT SELECT on the tables."
        )
    return SourceError(f"MySQL at {address.server} reports error {number}: {_reason(text)}.")


def _reason(text: str) -> str:
    """The server's words without its numbers, which may hold no full stop in the middle."""
    first = re.sub(r"^\d+ \(\w+\): ", "", text.strip().splitlines()[0])
    return in_one_sentence(ValueError(first)).rstrip(".") if first else "no reason given"


@contextlib.contextmanager
def in_words(address: Address) -> Iterator[None]:
    """Turn every fault of the driver inside the block into a `SourceError`."""
    import mysql.connector

    try:
        yield
    except mysql.connector.Error as error:
        raise explained(error, address) from None
    except (TimeoutError, ConnectionError) as error:
        raise SourceError(
            f"MySQL at {address.server} broke the connection off ({type(error).__name__}); {_LOST}."
        ) from None
