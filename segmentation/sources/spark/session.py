"""One Spark session, on this machine or a cluster, and its faults in one sentence each."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segmentation.core.errors import SourceError, in_one_sentence
from segmentation.sources.spark.place import SparkPlace

INSTALL = "make setup EXTRAS=spark"
INSTALL_JAVA = "apt-get install -y --no-install-recommends openjdk-17-jre-headless"
ANSWER_SECONDS = 5
"""How long a cluster's port may take to answer before it counts as unreachable."""
WORKER_SECONDS = 60
"""How long a cluster may take to give a worker for the first task."""

_ALWAYS = {
    "spark.sql.ansi.enabled": "true",  # a value that is no number stops the query
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.runSQLOnFiles": "false",  # a SELECT reads the tables of its location only
    "spark.sql.legacy.typeCoercion.datetimeToString.enabled": "false",
}
_LOST = (
    r"ExecutorLostFailure|executor lost|Lost executor|FetchFailed|MetadataFetchFailed|"
    r"Connection reset|Connection refused|SparkContext was shut down|stopped SparkContext|"
    r"Answer from Java side is empty|UNAVAILABLE|Socket closed|cancelled because Spark"
)
_MEMORY = r"OutOfMemoryError|OUT_OF_MEMORY|Java heap space|exceeds.*maxResultSize"


def session_for(place: SparkPlace, *, time_zone: str = "UTC") -> Any:
    """The Spark session of this process, started where there is none.

    Without a server in `place`, Spark's own configuration decides (``SPARK_REMOTE``,
    ``spark-defaults.conf``), and without one all cores of this machine work. Points in time
    are counted in days of `time_zone`, whatever the machines' own.

    Raises
    ------
    SourceError
        If PySpark or Java is missing, or the cluster cannot be reached or has no worker.
    """
    _check_installed(place)
    check_reachable(place)
    with _quiet() as log, in_words(place):
        session = _started(place, log)
        for name, value in (_ALWAYS | {"spark.sql.session.timeZone": time_zone}).items():
            session.conf.set(name, value)
    if place.kind == "spark":
        _check_workers(session, place)
    return session


def _check_installed(place: SparkPlace) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says at import that it is older than pandas 3
            import pyspark.sql  # noqa: F401
    except ImportError:
        raise SourceError(
            f"engine is spark, but PySpark is not installed; install it with {INSTALL}, or set "
            "engine: duckdb."
        ) from None
    remote = place.kind == "sc" or os.environ.get("SPARK_REMOTE", "").startswith("sc://")
    if not remote and not _java():
        raise SourceError(
            f"engine is spark, but there is no Java 17 or newer here; install it with "
            f"{INSTALL_JAVA}, or set JAVA_HOME."
        )


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")


def check_reachable(place: SparkPlace) -> None:
    """Ask each address for a connection: Spark itself tries for minutes, then says little.

    Raises
    ------
    SourceError
        If the place names a cluster and none of its addresses answers.
    """
    reasons = []
    for host, port in place.hosts:
        try:
            socket.create_connection((host.strip("[]"), port), timeout=ANSWER_SECONDS).close()
            return
        except OSError as error:
            reasons.append(error.strerror or type(error).__name__)
    if reasons:
        raise SourceError(
            f"Spark at {place.server} cannot be reached ({reasons[0]}); start it, or correct "
            "location."
        )


def _started(place: SparkPlace, log: Path) -> Any:
    from pyspark.sql import SparkSession

    builder: Any = SparkSession.builder
    if place.kind == "sc":
        session = builder.remote(place.server).getOrCreate()
        _try_less_long(session)
        return session
    if os.environ.get("SPARK_REMOTE"):
        return builder.getOrCreate()
    if place.kind == "spark":
        builder = builder.master(place.server)
    settings = _local_settings(is_local=place.kind != "spark")
    if not place.database:  # a catalogue's tables are where its own configuration says
        settings["spark.sql.warehouse.dir"] = f"{log.parent}/segmentation-warehouse-{os.getpid()}"
    for name, value in settings.items():
        builder = builder.config(name, value)
    try:
        return builder.appName("segmentation").getOrCreate()
    except Exception as error:
        if type(error).__name__ != "PySparkRuntimeError":
            raise
        said = log.read_text("utf-8", "replace").strip().splitlines()
        reason = next((line for line in reversed(said) if "rror" in line), "it ended at once")
        raise SourceError(
            f"Spark cannot start: {in_one_sentence(ValueError(reason)).rstrip('.')}; needed is "
            "Java 17 or newer."
        ) from None


def _try_less_long(session: Any) -> None:
    """A Spark Connect server that is gone is asked for 45 seconds, not for ten minutes."""
    from pyspark.sql.connect.client.retries import DefaultPolicy

    session.client.set_retry_policies([DefaultPolicy(max_retries=8, max_backoff=10_000)])


def _local_settings(*, is_local: bool) -> dict[str, str]:
    """What a driver on this machine needs; a cluster's own settings stay its own."""
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.driver.maxResultSize": "0",  # one row per customer comes to the driver
    }
    if "SPARK_DRIVER_MEMORY" not in os.environ:
        settings["spark.driver.memory"] = f"{_driver_megabytes()}m"
    if is_local:
        # many small tasks cost more than they save where a handful of cores share memory
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        settings |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(max(4, 4 * cores)),
            "spark.default.parallelism": str(max(2, cores)),
        }
    return settings


def _driver_megabytes() -> int:
    """A third of the memory: Python holds the customers beside it."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return max(1024, total // 3)


@contextlib.contextmanager
def _quiet() -> Iterator[Path]:
    """Send what Java writes to standard error into a file, from its start to its end.

    A Java process keeps the standard error that it was started with, and greets with a
    dozen lines; ours is for progress and for one sentence.
    """
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger", "pyspark.sql.connect"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    logging.getLogger("py4j").setLevel(logging.CRITICAL + 1)
    number, name = tempfile.mkstemp(prefix="segmentation-spark-", suffix=".log")
    log = Path(name)
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        os.dup2(number, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield log
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(number)
        log.unlink(missing_ok=True)  # Java goes on writing into it; the space is freed with it


def _check_workers(session: Any, place: SparkPlace) -> None:
    """Refuse a master without a free worker, which would let every query wait for ever."""
    done, failed = threading.Event(), []

    def ask() -> None:
        try:
            session.range(1).count()
        except Exception as error:
            failed.append(error)
        done.set()

    threading.Thread(target=ask, daemon=True).start()
    if not done.wait(WORKER_SECONDS):
        session.sparkContext.cancelAllJobs()
        raise SourceError(
            f"Spark at {place.server} gave no worker within {WORKER_SECONDS} seconds; free one, "
            "or start one with enough memory and cores."
        )
    if failed:
        with in_words(place):
            raise failed[0]


# --- faults -----------------------------------------------------------------------------

_SENTENCES = {
    "PATH_NOT_FOUND": "there is no such folder or file: {what}; correct location",
    "TABLE_OR_VIEW_NOT_FOUND": "there is no table {what}; correct the SELECT or location",
    "SCHEMA_NOT_FOUND": "there is no database {what}; correct location",
    "UNRESOLVED_COLUMN": "there is no column {what}; correct the SELECT",
    "UNRESOLVED_ROUTINE": "Spark has no function {what}; correct the SELECT",
}


@contextlib.contextmanager
def in_words(place: SparkPlace) -> Iterator[None]:
    """Turn every fault of Spark inside the block into a `SourceError`."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\[RETRIES_EXCEEDED\]")
            yield
    except SourceError:
        raise
    except Exception as error:
        if not _is_sparks(error):
            raise
        raise explained(error, place) from None


def _is_sparks(error: Exception) -> bool:
    package = type(error).__module__.split(".")[0]
    return package in ("pyspark", "py4j", "grpc") or isinstance(error, ConnectionError)


def explained(error: Exception, place: SparkPlace) -> SourceError:
    """A fault of Spark as one sentence with what to do about it."""
    text = str(error)
    where = f"Spark at {place.server}" if place.server else "Spark"
    condition = _condition(error)
    if re.search(_MEMORY, text):
        return SourceError(
            f"{where} ran out of memory; give its driver or executors more "
            "(SPARK_DRIVER_MEMORY), or use more machines."
        )
    if re.search(_LOST, text) or isinstance(error, ConnectionError):
        return SourceError(
            f"{where} lost the connection or its executors while it was working; look at its log "
            "and run it again."
        )
    for known, words in _SENTENCES.items():
        if condition.startswith(known):
            return SourceError(f"{where}: {words.format(what=_quoted(text))}.")
    return SourceError(f"{where} reports: {_reason(text)}.")


def _condition(error: Exception) -> str:
    for name in ("getCondition", "getErrorClass"):
        if hasattr(error, name):
            with contextlib.suppress(Exception):
                return str(getattr(error, name)() or "")
    return ""


def _quoted(text: str) -> str:
    """The name that a message of Spark's is about."""
    path = re.search(r"Path does not exist: (\S+?)\.? ", text)
    if path:
        return path.group(1).removeprefix("file:")
    found = re.search(r"[`']([^`']+)[`']", text)
    return found.group(1) if found else "that the SELECT names"


def _reason(text: str) -> str:
    """Spark's own words: the line that says what is wrong, without codes and positions."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = next((line for line in lines if re.search(r"\[[A-Z_0-9.]+\]", line)), "")
    said = re.sub(r"^.*?\[[A-Z_0-9.]+\]\s*", "", said) or (lines[0] if lines else "no reason given")
    said = re.split(r"\.? SQLSTATE: |; line \d+ pos", said)[0]
    return in_one_sentence(ValueError(said)).rstrip(".")
