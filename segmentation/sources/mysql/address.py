"""The address of a MySQL or MariaDB server, as a profile's location has it: never a password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import parse_qsl, unquote, urlsplit

from segmentation.core.errors import ParameterError

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
