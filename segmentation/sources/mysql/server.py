"""A MySQL or MariaDB server: its address, credentials, connection, and faults in words.

The password comes from an option file or the environment and goes to the driver only: no
message, log, parameter or page repeats it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import ssl
import stat
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from segmentation.core.errors import ParameterError, SourceError, in_one_sentence
from segmentation.sources.mysql.session import set_for_session, waits

_LOG = logging.getLogger(__name__)
SCHEME = "mysql://"
USER_VARIABLE, PASSWORD_VARIABLE = "MYSQL_USER", "MYSQL_PASSWORD"
_SHAPE = "mysql://host:port/database, with ?option_file=…&group=… where wanted"
_SECONDS = {"connect_timeout": 10, "read_timeout": 900, "lock_timeout": 60}
_TEXTS = ("option_file", "group", "tls")
TLS = ("verify", "unverified", "off")


def is_database(location: str) -> bool:
    """Whether a location is a database and not a path.

    Examples
    --------
    >>> is_database("mysql://db:3306/shop"), is_database("data/raw_data")
    (True, False)
    """
    return location.lower().startswith(SCHEME)


@dataclass(frozen=True)
class Address:
    """Where the tables are and how long to wait; never a password.

    Time-outs are in seconds: for the connection, for an answer (the server gives up on a
    statement after the same time), and for tables that somebody else has locked.
    """

    host: str
    port: int
    database: str
    user: str = ""
    option_file: str = ""
    group: str = ""
    tls: str = "verify"
    connect_timeout: int = _SECONDS["connect_timeout"]
    read_timeout: int = _SECONDS["read_timeout"]
    lock_timeout: int = _SECONDS["lock_timeout"]

    @property
    def server(self) -> str:
        """Host and port as an error names them."""
        return f"{self.host}:{self.port}"


def parse_location(location: str) -> Address:
    """The address in a ``mysql://`` location.

    Raises
    ------
    ParameterError
        If a part is missing, unknown or out of range, or if there is a password in it;
        nothing that may be one is repeated.

    Examples
    --------
    >>> address = parse_location("mysql://127.0.0.1:3307/shop?read_timeout=60")
    >>> address.server, address.database, address.read_timeout, address.tls
    ('127.0.0.1:3307', 'shop', 60, 'unverified')
    >>> parse_location("mysql://db.example.com/shop").tls
    'verify'
    """
    try:
        parts = urlsplit(location)
        port = parts.port or 3306
    except ValueError:
        raise ParameterError(f"location: is no address; it is {_SHAPE}.") from None
    if parts.password is not None:
        raise ParameterError(
            "location: holds a password, which would be printed into the page; put it into an "
            f"option file such as ~/.my.cnf, or into the environment ({PASSWORD_VARIABLE})."
        )
    database = unquote(parts.path).strip("/")
    if not parts.hostname or not database or "/" in database or parts.fragment:
        raise ParameterError(f"location: host or database is missing; it is {_SHAPE}.")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - {*_SECONDS, *_TEXTS})
    if unknown:
        raise ParameterError(
            f"location: unknown option {unknown[0]}; there are {', '.join((*_TEXTS, *_SECONDS))}."
        )
    tls = options.get("tls") or ("unverified" if is_loopback(parts.hostname) else "verify")
    if tls not in TLS:
        raise ParameterError(f"location: tls is {tls!r}, accepted is {' or '.join(TLS)}.")
    return Address(
        host=parts.hostname,
        port=port,
        database=database,
        user=unquote(parts.username or ""),
        option_file=options.get("option_file", ""),
        group=options.get("group", ""),
        tls=tls,
        **{name: _seconds(name, options.get(name)) for name in _SECONDS},
    )


def _seconds(name: str, text: str | None) -> int:
    if text is None:
        return _SECONDS[name]
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 86_400:
        raise ParameterError(f"location: {name} is {text!r}, accepted is 1 to 86400 seconds.")
    return int(text)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, so that nobody can listen in between.

    Examples
    --------
    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("10.0.0.7")
    (True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def shown_location(location: str) -> str:
    """A location for a page: the database, not the machine that holds it.

    Examples
    --------
    >>> shown_location("mysql://db7.internal:3306/shop?option_file=/home/me/.my.cnf")
    'mysql://…/shop'
    """
    return f"{SCHEME}…/{unquote(urlsplit(location).path).strip('/')}"


# --- credentials ----------------------------------------------------------------------


@dataclass(frozen=True)
class Credentials:
    """Who connects; the password is in no representation of it."""

    user: str
    password: str = field(repr=False)
    ssl_ca: str = ""
    ssl_cert: str = ""
    ssl_key: str = ""


def find_credentials(address: Address) -> Credentials:
    """User, password and certificates from an option file and the environment.

    The option file is the one the location names, else ``~/.my.cnf`` where there is one; of
    it the groups ``[client]`` and ``[segmentation]`` are read, or the one group the location
    names. ``MYSQL_USER`` and ``MYSQL_PASSWORD`` win over the file unless the location names
    one.

    Raises
    ------
    ParameterError
        If the file or group is missing or anybody may write the file; or no user is given.
    """
    named = bool(address.option_file or address.group)
    path = Path(address.option_file or "~/.my.cnf").expanduser()
    options = _option_file(path, address) if named or path.is_file() else {}
    if not named:
        for key, variable in (("user", USER_VARIABLE), ("password", PASSWORD_VARIABLE)):
            if os.environ.get(variable):
                options[key] = os.environ[variable]
    options["user"] = address.user or options.get("user", "")
    if not options["user"]:
        where = f"{path}" if named else "~/.my.cnf"
        raise ParameterError(
            f"location: no user is known for {address.server}; give user and password in {where} "
            f"or in the environment ({USER_VARIABLE}, {PASSWORD_VARIABLE})."
        )
    return Credentials(
        user=options["user"],
        password=options.get("password", ""),
        ssl_ca=options.get("ssl-ca", ""),
        ssl_cert=options.get("ssl-cert", ""),
        ssl_key=options.get("ssl-key", ""),
    )


def _option_file(path: Path, address: Address) -> dict[str, str]:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(
            f"option file {path} cannot be read ({type(error).__name__}); name another one in "
            "location (?option_file=…)."
        ) from None
    if mode & stat.S_IWOTH:
        raise ParameterError(f"option file {path} may be written by anybody: chmod 600 {path}.")
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        _LOG.warning("option file %s may be read by others: chmod 600 protects it.", path)
    groups = parse_option_file(text)
    if address.group and address.group not in groups:
        known = ", ".join(groups) or "none"
        raise ParameterError(f"option file {path} has no group [{address.group}]; it has {known}.")
    wanted = (address.group,) if address.group else ("client", "segmentation")
    options: dict[str, str] = {}
    for group in wanted:
        options |= groups.get(group, {})
    return options


def parse_option_file(text: str) -> dict[str, dict[str, str]]:
    r"""Groups of a MySQL option file; ``_`` and ``-`` in names mean the same.

    Examples
    --------
    >>> parse_option_file('[client]\nuser = me\npassword="a#b" # mine\n[other]\nssl_ca=x')
    {'client': {'user': 'me', 'password': 'a#b'}, 'other': {'ssl-ca': 'x'}}
    """
    groups: dict[str, dict[str, str]] = {}
    options: dict[str, str] = {}
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and "]" in line:
            options = groups.setdefault(line[1 : line.index("]")].strip(), {})
        elif line and line[0] not in "#;!":
            name, _, value = line.partition("=")
            options[name.strip().replace("_", "-").lower()] = _option_value(value.strip())
    return groups


_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "r": "\r", "s": " ", "\\": "\\"}


def _option_value(text: str) -> str:
    quoted = re.match(r"""(["'])(.*?)(?<!\\)\1\s*(#.*)?$""", text)
    value = quoted.group(2) if quoted else re.sub(r"\s*#.*$", "", text)
    return re.sub(r"\\([btnrs\\\"'])", lambda m: _ESCAPED.get(m.group(1), m.group(1)), value)


# --- connection -----------------------------------------------------------------------


def connect(address: Address, *, with_database: bool = True) -> Any:
    """An open connection with time-outs, checked encryption and single statements only.

    The driver's C extension is used where it can be loaded; it is several times faster,
    and gives the same values.

    Raises
    ------
    ParameterError
        If credentials are missing.
    SourceError
        If the server cannot be reached, refuses, is not who it should be, or lacks the
        database.
    """
    import mysql.connector
    from mysql.connector.constants import ClientFlag

    credentials = find_credentials(address)
    settings = {
        "host": address.host,
        "port": address.port,
        "database": address.database if with_database else None,
        "user": credentials.user,
        "password": credentials.password,
        "connection_timeout": address.connect_timeout,
        "read_timeout": address.read_timeout,
        "write_timeout": address.read_timeout,
        # named, because the server's default may be unknown to the driver
        "charset": "utf8mb4",
        "collation": "utf8mb4_general_ci",
        "client_flags": [-ClientFlag.MULTI_STATEMENTS],
        "allow_local_infile": False,
        "autocommit": True,
        "use_pure": not has_fast_driver(),
    }
    try:
        connection = mysql.connector.connect(**settings, **_tls(address, credentials))
        set_for_session(connection, waits(connection, address))
    except mysql.connector.Error as error:
        raise explained(error, address) from None
    except (OSError, ValueError, NotImplementedError) as error:
        raise SourceError(
            f"MySQL at {address.server} cannot be reached: {in_one_sentence(error)}"
        ) from None
    return connection


def has_fast_driver() -> bool:
    """Whether the driver's C extension could be loaded (`segmentation.__main__` says when)."""
    import mysql.connector

    return bool(mysql.connector.HAVE_CEXT)


def driver_words() -> str:
    """Driver, version and kind, for the manifest."""
    import mysql.connector

    kind = "C extension" if has_fast_driver() else "pure Python"
    return f"mysql-connector-python {mysql.connector.__version__} ({kind})"


def _tls(address: Address, credentials: Credentials) -> dict[str, Any]:
    if address.tls == "off":
        return {"ssl_disabled": True}
    settings: dict[str, Any] = {}
    if credentials.ssl_cert and credentials.ssl_key:
        settings |= {"ssl_cert": credentials.ssl_cert, "ssl_key": credentials.ssl_key}
    if address.tls == "unverified":
        return settings
    authority = credentials.ssl_ca or ssl.get_default_verify_paths().cafile or ""
    if not Path(authority).is_file():
        raise ParameterError(
            f"location: no certificate authority is known to verify {address.server} by; give "
            "ssl-ca in the option file."
        )
    return settings | {"ssl_ca": authority, "ssl_verify_cert": True, "ssl_verify_identity": True}


# --- faults ---------------------------------------------------------------------------

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
def in_words(address: Address) -> Any:
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
