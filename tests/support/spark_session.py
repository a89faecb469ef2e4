"""One small Spark session for all tests that need it: two cores, one gigabyte, quick to start."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator

import pytest

INSTALL = "make setup EXTRAS=spark && apt-get install -y openjdk-17-jre-headless"
QUICK = {
    "PYSPARK_SUBMIT_ARGS": "--master local[2] pyspark-shell",
    "SPARK_DRIVER_MEMORY": "1g",
    # short queries end before a second compiler would pay; the first alone gets 48 MB for its
    # code by itself, and where they are full, all that follows is interpreted
    "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=512m -Xshare:auto",
}


def skip_without_spark() -> None:
    """Skip, with the commands that install it, where PySpark or Java is missing."""
    if importlib.util.find_spec("pyspark") is None or not (
        os.environ.get("JAVA_HOME") or shutil.which("java")
    ):
        pytest.skip(f"PySpark or Java is not installed: {INSTALL}")


@pytest.fixture(scope="session")
def spark() -> Iterator[object]:
    """The session that every engine of this process then works in."""
    skip_without_spark()
    from segmentation.sources.spark.place import SparkPlace
    from segmentation.sources.spark.session import session_for

    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK.items():
            patch.setenv(name, value)
        session = session_for(SparkPlace())
    yield session
    session.stop()
