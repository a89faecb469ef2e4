"""A database that Spark reads through JDBC: its address, driver, credentials, faults in words.

The password comes from an option file or the environment and goes to the driver only, as a
property of the connection: no address, message, log, parameter or page repeats it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from segmentation.errors import ParameterError, SourceError, in_one_sentence
from segmentation.mysql import Address, Credentials, find_credentials, is_loopback, parse_location

PREFIX = "jdbc:"
_MYSQL = ("mysql", "com.mysql.cj.jdbc.Driver")
_MARIADB = ("mariadb", "org.mariadb.jdbc.Driver")
DRIVERS = {
    "mysql": (_MYSQL, _MARIADB),
    "mariadb": (_MARIADB, _MYSQL),
    "postgresql": (("postgresql", "org.postgresql.Driver"),),
}
"""Kinds of database, and the drivers that read each: scheme of the address, class."""
_JAR_FOLDER = Path("/usr/share/java")
_JARS = {"mysql": "mariadb-java-client.jar", "mariadb": "mariadb-java-client.jar"} | {
    "postgresql": "postgresql.jar"
}
INSTALL = {
    "mysql": "apt-get install -y --no-install-recommends libmariadb-java",
    "mariadb": "apt-get install -y --no-install-recommends libmariadb-java",
    "postgresql": "apt-get install -y --no-install-recommends libpostgresql-jdbc-java",
}
_SHAPE = "jdbc:mysql://host:port/database, jdbc:mariadb://… or jdbc:postgresql://…"


@dataclass(frozen=True)
class JdbcPlace:
    """A database behind a JDBC driver; never a password."""

    kind: str
    address: Address

    @property
    def is_mysql(self) -> bool:
        """Whether it speaks MySQL's SQL; else it is PostgreSQL."""
        return self.kind != "postgresql"

    @property
    def shown(self) -> str:
        """The database for a page: without the machine that holds it."""
        return f"{PREFIX}{self.kind}://…/{self.address.database}"

    @property
    def called(self) -> str:
        """The server as an error names it."""
        names = {"mysql": "MySQL", "mariadb": "MariaDB", "postgresql": "PostgreSQL"}
        return f"{names[self.kind]} at {self.address.server}"

    @property
    def jar(self) -> Path | None:
        """The driver that the system's packages brought, where there is one."""
        path = _JAR_FOLDER / _JARS[self.kind]
        return path if path.is_file() else None

    def url(self, scheme: str) -> str:
        """The address as a driver takes it."""
        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        return f"{PREFIX}{scheme}://{host}:{self.address.port}/{self.address.database}"


def parse_jdbc(location: str) -> JdbcPlace:
    """The parts of a ``jdbc:`` location; options are those of a ``mysql://`` one.

    Raises
    ------
    ParameterError
        If the kind is unknown, a part is missing or unknown, or there is a password in it.

    Examples
    --------
    >>> place = parse_jdbc("jdbc:postgresql://db.example.com/shop")
    >>> place.address.server, place.shown
    ('db.example.com:5432', 'jdbc:postgresql://…/shop')
    >>> parse_jdbc("jdbc:mysql://127.0.0.1:3307/shop").url("mariadb")
    'jdbc:mariadb://127.0.0.1:3307/shop'
    """
    kind, separator, rest = location.removeprefix(PREFIX).partition("://")
    if kind not in DRIVERS or not separator:
        raise ParameterError(f"location: no database that is read through JDBC; it is {_SHAPE}.")
    try:
        address = parse_location("mysql://" + rest)
        has_port = urlsplit("mysql://" + rest).port is not None
    except ParameterError as error:
        raise ParameterError(str(error).replace("mysql://", f"{PREFIX}{kind}://")) from None
    if kind == "postgresql" and not has_port:
        address = replace(address, port=5432)
    return JdbcPlace(kind, address)


# --- credentials ----------------------------------------------------------------------


def credentials_for(place: JdbcPlace, environment: dict[str, str] | None = None) -> Credentials:
    """User and password, found as each database's own programs find them.

    For MySQL and MariaDB as engine ``mysql`` does. For PostgreSQL ``PGUSER`` and
    ``PGPASSWORD``, else the password file: the one the location names (``option_file``),
    ``PGPASSFILE``, or ``~/.pgpass``.

    Raises
    ------
    ParameterError
        If no user is known, or a named file cannot be read or others may read it.
    """
    if place.is_mysql:
        return find_credentials(place.address, environment)
    environment = dict(os.environ) if environment is None else environment
    address = place.address
    named = address.option_file or environment.get("PGPASSFILE", "")
    user = address.user or environment.get("PGUSER", "")
    password = "" if address.option_file else environment.get("PGPASSWORD", "")
    if not password or not user:
        user, password = _from_password_file(place, named, user, password)
    if not user:
        raise ParameterError(
            f"location: no user is known for {address.server}; give user and password in "
            "~/.pgpass or in the environment (PGUSER, PGPASSWORD)."
        )
    return Credentials(user=user, password=password)


def _from_password_file(place: JdbcPlace, named: str, user: str, password: str) -> tuple[str, str]:
    path = Path(named or "~/.pgpass").expanduser()
    if not named and not path.is_file():
        return user, password
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(
            f"password file {path} cannot be read ({type(error).__name__}); name another one in "
            "location (?option_file=…)."
        ) from None
    if mode & 0o077:
        raise ParameterError(f"password file {path} may be read by others: chmod 600 {path}.")
    address = place.address
    wanted = (address.host, str(address.port), address.database)
    for line in text.splitlines():
        parts = [re.sub(r"\\(.)", r"\1", part) for part in re.split(r"(?<!\\):", line)]
        if line.startswith("#") or len(parts) != 5:
            continue
        fits = all(given in ("*", sought) for given, sought in zip(parts, wanted, strict=False))
        if fits and (not user or parts[3] in ("*", user)) and (user or parts[3] != "*"):
            return user or parts[3], password or parts[4]
    return user, password


def properties_for(place: JdbcPlace, scheme: str) -> dict[str, str]:
    """What a driver is told besides the address: user, password, time-outs, encryption.

    As for engine ``mysql``, a server elsewhere must prove who it is unless the location says
    otherwise (``tls=unverified`` or ``off``); one of this machine need not.
    """
    address, credentials = place.address, credentials_for(place)
    who = {"user": credentials.user, "password": credentials.password}
    if place.kind == "postgresql":
        waits = {"connectTimeout": address.connect_timeout, "socketTimeout": address.read_timeout}
    else:
        waits = {
            "connectTimeout": address.connect_timeout * 1000,
            "socketTimeout": address.read_timeout * 1000,
        }
    tls = _TLS[scheme][_kind_of_tls(address)]
    if scheme == "mariadb" and credentials.ssl_ca and address.tls == "verify":
        tls = tls | {"serverSslCert": credentials.ssl_ca}
    # else the driver holds a whole table in memory
    streaming = {"useCursorFetch": "true"} if scheme == "mysql" else {}
    return who | {name: str(value) for name, value in waits.items()} | tls | streaming


def _kind_of_tls(address: Address) -> str:
    return "here" if address.tls == "unverified" and is_loopback(address.host) else address.tls


_TLS: dict[str, dict[str, dict[str, str]]] = {
    "mariadb": {  # version 2 knows the first names, version 3 sslMode
        "here": {"allowPublicKeyRetrieval": "true"},
        "off": {"useSsl": "false"},
        "unverified": {"useSsl": "true", "trustServerCertificate": "true", "sslMode": "trust"},
        "verify": {"useSsl": "true", "sslMode": "verify-full"},
    },
    "mysql": {
        "here": {"allowPublicKeyRetrieval": "true"},
        "off": {"sslMode": "DISABLED"},
        "unverified": {"sslMode": "REQUIRED"},
        "verify": {"sslMode": "VERIFY_IDENTITY"},
    },
    "postgresql": {
        "here": {"sslmode": "prefer"},
        "off": {"sslmode": "disable"},
        "unverified": {"sslmode": "require"},
        "verify": {
            "sslmode": "verify-full",
            "sslfactory": "org.postgresql.ssl.DefaultJavaSSLFactory",  # Java's authorities
        },
    },
}


# --- faults ---------------------------------------------------------------------------

_NO_DRIVER = r"ClassNotFoundException|CLASS_NOT_FOUND|No suitable driver|NoClassDefFoundError"
_FAULTS = (
    (
        r"Access denied for user '[^']*'@'[^']*' to database",
        "does not let the user into database {database}; its administrator can GRANT SELECT",
    ),
    (
        r"Access denied for user|authentication failed|no password was provided|"
        r"role \"[^\"]*\" does not exist|no pg_hba\.conf entry",
        "refuses the user or the password; check them in the option file or the environment",
    ),
    (
        r"Unknown database|database \"[^\"]*\" does not exist",
        "has no database {database}; check the location",
    ),
    (
        r"command denied to user|permission denied for",
        "does not permit reading a table; its administrator can GRANT SELECT",
    ),
    (
        r"SSLHandshakeException|SSLException|CertPathValidator|does not support SSL|"
        r"SSL is not enabled",
        "cannot prove over TLS who it is; give its authority as ssl-ca in the option file or to "
        "Java, or set tls=unverified in the location if that is safe",
    ),
    (
        r"UnknownHost|Could not connect to|Connection refused|Communications link failure|"
        r"connection attempt failed|connect timed out|NoRouteToHost|Connect timed out",
        "cannot be reached; check host, port and that the server runs",
    ),
    (
        r"Connection reset|unexpected end of stream|Connection is closed|Read timed out|"
        r"I/O error occurred while sending|terminating connection|Query execution was interrupted",
        "broke the connection off or did not answer in time ({seconds} s); run it again",
    ),
)
_IS_SQL = re.compile(r"java\.sql\.|org\.mariadb|com\.mysql|org\.postgresql|\bJDBC\b")


def lacks_driver(text: str) -> bool:
    """Whether Spark says that it has no such driver."""
    return re.search(_NO_DRIVER, text) is not None


def driver_missing(place: JdbcPlace) -> SourceError:
    """The sentence that says how to get a driver."""
    classes = " or ".join(name for _, name in DRIVERS[place.kind])
    return SourceError(
        f"{place.called} needs a JDBC driver that Spark does not have ({classes}); name its jar in "
        f"Spark's own configuration (spark.jars), or install it with {INSTALL[place.kind]}."
    )


def fault_of(text: str, place: JdbcPlace) -> SourceError | None:
    """A fault of the server or its driver as one sentence; None where it is Spark's own."""
    if not _IS_SQL.search(text):
        return None
    address = place.address
    for pattern, words in _FAULTS:
        if re.search(pattern, text):
            said = words.format(database=address.database, seconds=address.read_timeout)
            return SourceError(f"{place.called} {said}.")
    found = re.search(r"(?:SQL\w*Exception|PSQLException): (?:\(conn=\d+\) )?([^\n]+)", text)
    if found is None:
        return None
    reason = in_one_sentence(ValueError(found.group(1))).rstrip(".")
    return SourceError(f"{place.called} reports: {reason}.")
