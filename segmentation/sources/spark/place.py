"""Where a Spark run's tables are: a folder, storage that a cluster reads, or a catalogue.

A location names the place, and in front of it the cluster if that is not this machine:
``sc://host:15002/shop`` is the database ``shop`` behind a Spark Connect server,
``spark://host:7077/s3a://bucket/orders`` a folder that a standalone master's workers read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from segmentation.core.errors import ParameterError

CLUSTERS = {"spark": 7077, "sc": 15002}
"""Kinds of address in front of a place, and the port where none is given."""
SHAPE = (
    "a folder or file, a folder in storage (s3a://bucket/orders), or either of "
    "spark://host:7077/PLACE and sc://host:15002/PLACE where PLACE is a catalogue's database or "
    "a folder in storage"
)
_ADDRESS = re.compile(r"^(spark|sc)://([^/;?#@\s]+)(?:/(.*))?$", re.S)
_HOST = re.compile(r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?$")
_STORAGE = re.compile(r"^[a-z][a-z0-9+.-]*://[^\s]+$")
_DATABASE = re.compile(r"^\w+(\.\w+)?$")
_JDBC = re.compile(r"(^|/)jdbc:", re.I)
EXPORT = "export its tables to Parquet or CSV and give their folder"
"""What to do about a database that Spark does not read."""


@dataclass(frozen=True)
class SparkPlace:
    """A parsed location: the cluster (empty: Spark's own configuration) and the tables."""

    kind: str = ""
    hosts: tuple[tuple[str, int], ...] = ()
    folder: str = ""
    """Storage address; empty for a path of this machine and for a database."""
    database: str = ""
    """A database of Spark's catalogue."""

    @property
    def server(self) -> str:
        """The cluster's address as Spark takes it, ``sc://host:port``; empty for its own."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{self.kind}://{hosts}" if hosts else ""

    @property
    def is_elsewhere(self) -> bool:
        """Whether the tables are no files of this machine, so that only Spark can read them."""
        return bool(self.folder or self.database)

    @property
    def shown(self) -> str:
        """The place for a page: without the machines that hold it."""
        if not self.is_elsewhere:
            return ""
        scheme = f"{self.kind}://…/" if self.kind else ""
        return scheme + (self.database or _shown_folder(self.folder))


def _shown_folder(folder: str) -> str:
    parts = urlsplit(folder)
    return f"{parts.scheme}://…/{parts.path.rstrip('/').rsplit('/', 1)[-1]}"


def is_spark_place(location: str) -> bool:
    """Whether a location can be read by Spark only.

    Examples
    --------
    >>> is_spark_place("sc://db:15002/shop"), is_spark_place("s3a://bucket/orders")
    (True, True)
    >>> is_spark_place("data/raw_data"), is_spark_place("mysql://db:3306/shop")
    (False, False)
    """
    is_address = "://" in location or _JDBC.search(location) is not None
    return is_address and not location.startswith("mysql://")


def parse_place(location: str) -> SparkPlace:
    """The parts of a location.

    Raises
    ------
    ParameterError
        If it has the form of an address but not one of those accepted.

    Examples
    --------
    >>> place = parse_place("sc://db.example.com/shop")
    >>> place.server, place.database
    ('sc://db.example.com:15002', 'shop')
    >>> parse_place("spark://a:7077,b:7077/s3a://bucket/orders").folder
    's3a://bucket/orders'
    >>> parse_place("data/raw_data").is_elsewhere
    False
    """
    if _JDBC.search(location):
        raise ParameterError(
            f"location: no database is read through JDBC; {EXPORT}, or set engine: mysql and "
            "location: mysql://host:port/database."
        )
    if "://" not in location:
        return SparkPlace()
    found = _ADDRESS.match(location)
    if found is None:
        if location.startswith(tuple(f"{kind}://" for kind in CLUSTERS)):
            raise ParameterError(f"location: is no address that Spark takes; it is {SHAPE}.")
        if not _STORAGE.match(location):
            raise ParameterError(f"location: is no address; it is {SHAPE}.")
        return SparkPlace(folder=location.rstrip("/"))
    kind, hosts, rest = found.group(1), found.group(2), (found.group(3) or "").rstrip("/")
    where = _tables_of(rest)
    return SparkPlace(kind, tuple(_host(text, kind) for text in hosts.split(",")), *where)


def _tables_of(rest: str) -> tuple[str, str]:
    if _STORAGE.match(rest):
        return rest, ""
    if _DATABASE.match(rest):
        return "", rest
    raise ParameterError(
        f"location: names {'no place' if not rest else 'a place that is neither'} after the "
        "server; give a database (sc://host:15002/shop) or a folder that the cluster reads "
        "(sc://host:15002/s3a://bucket/orders)."
    )


def _host(text: str, kind: str) -> tuple[str, int]:
    found = _HOST.match(text)
    port = int(found.group(2) or CLUSTERS[kind]) if found else 0
    if found is None or not 0 < port < 65536:
        raise ParameterError(f"location: {text!r} is no host:port; it is {SHAPE}.")
    return found.group(1), port
