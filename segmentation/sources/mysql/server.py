"""Connections to a MySQL or MariaDB server, and who connects.

The password comes from an option file or the environment and goes to the driver only: no
message, log, parameter or page repeats it.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segmentation.core.errors import ParameterError, SourceError, in_one_sentence
from segmentation.sources.mysql.address import PASSWORD_VARIABLE, USER_VARIABLE, Address
from segmentation.sources.mysql.faults import explained
from segmentation.sources.mysql.session import set_for_session, waits

_LOG = logging.getLogger(__name__)

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
