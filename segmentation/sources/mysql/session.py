"""What a connection to MySQL or MariaDB sets for itself, whatever the server's own settings are."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from segmentation.core.errors import SourceError

_IDLE_SECONDS = 86_400


def waits(connection: Any, address: Any) -> dict[str, int]:
    """How long the server waits for us: between two queries we compute."""
    seconds = {
        "wait_timeout": _IDLE_SECONDS,
        "net_read_timeout": address.read_timeout,
        "net_write_timeout": address.read_timeout,
        "lock_wait_timeout": address.lock_timeout,
        "innodb_lock_wait_timeout": address.lock_timeout,
    }
    if "mariadb" not in connection.server_info.lower():
        return seconds | {"max_execution_time": address.read_timeout * 1000}
    never = ("idle_transaction_timeout", "idle_readonly_transaction_timeout")
    return seconds | {"max_statement_time": address.read_timeout} | dict.fromkeys(never, 0)


def set_for_session(connection: Any, settings: dict[str, Any]) -> None:
    """Set variables of the server for one connection; the driver binds values."""
    from sqlglot import exp  # `segmentation serve` reads addresses, but needs no SQL

    with connection.cursor() as cursor:
        for name, value in settings.items():
            variable = exp.SetItem(this=exp.EQ(this=exp.var(name), expression=exp.Placeholder()))
            statement = exp.Set(expressions=[variable]).sql("mysql").replace("?", "%s")
            cursor.execute(statement, (value,))


def set_zone(connection: Any, address: Any, time_zone: str) -> None:
    """Count times in a zone by its IANA name.

    Raises
    ------
    SourceError
        If the server's tables give it other times than it has, as they do where they were
        loaded from files that the server cannot read.
    """
    if time_zone == "UTC":  # needs no tables, which a server may lack
        set_for_session(connection, {"time_zone": "+00:00"})
        return
    set_for_session(connection, {"time_zone": time_zone})
    for month in (1, 7):
        noon = dt.datetime(2024, month, 15, 12)
        own = noon.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(time_zone)).replace(tzinfo=None)
        with connection.cursor() as cursor:
            cursor.execute("SELECT CONVERT_TZ(%s, '+00:00', @@session.time_zone)", (noon,))
            found = cursor.fetchall()[0][0]
        if str(found)[:19] != str(own):
            raise SourceError(
                f"MySQL at {address.server} holds wrong times for {time_zone}; its administrator "
                "can load the tables of time zones anew, or set time_zone: UTC."
            )
