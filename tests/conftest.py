"""What many tests share: the shipped runs made once, the command line, and tiny shops."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import os
import re
import signal
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest
import yaml
from mariadb import as_root, mariadb_server  # noqa: F401  (fixtures for all test files)
from no_skips import pytest_sessionfinish, pytest_terminal_summary  # noqa: F401  hooks
from postgres import postgres_server  # noqa: F401
from spark_session import spark  # noqa: F401  (a fixture for all test files)

from segmentation import cli as command_line
from segmentation.core.columns import FEATURES, REQUIRED_TRANSACTION_COLUMNS, SHIPPED_FEATURES
from segmentation.core.parameters import resolve
from segmentation.core.placing import LOCK
from segmentation.deliver.make_run import make_run

ROOT = Path(__file__).resolve().parents[1]
SHOP_COLUMNS = (*REQUIRED_TRANSACTION_COLUMNS, "is_return", "registered_date")
SHOP_SQL = """
SELECT
    customer_id,
    order_id,
    CAST(order_date AS DATE) AS order_date,
    CAST(quantity AS DECIMAL(18, 2)) AS quantity,
    CAST(amount AS DECIMAL(18, 2)) AS amount,
    CAST(is_valid AS BOOLEAN) AS is_valid,
    CAST(is_return AS BOOLEAN) AS is_return,
    CAST(registered_date AS DATE) AS registered_date
FROM orders
"""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PROGRESS = re.compile(r"\d+%\|.*\||\d+(k|stage|notebook|book|[kMG]?B)? \[\d\d:\d\d")


LONGEST = (
    "test_book.py", "test_mysql.py", "test_notebooks.py", "test_spark.py", "test_own_shop.py",
    "test_remembered_notebooks.py", "test_api_server.py", "test_compare.py", "test_bad_input.py",
    "test_api_contract.py", "test_warm_kernels.py", "test_evidence_settings.py",
    "test_run_places.py", "test_params.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Alone, tests that run notebooks, the book or a browser come last: a defect shows early.

    Side by side the longest files come first, so that no process waits for another at the end.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = {name: number for number, name in enumerate(LONGEST)}
        items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))
    else:
        items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        """Lines of standard error that are not progress bars."""
        lines = re.split(r"[\r\n]+", _ESCAPES.sub("", self.err))
        return [line.strip() for line in lines if line.strip() and not _PROGRESS.search(line)]


def assert_refused(outcome: Outcome, *needed: str) -> str:
    """Exit code 2 and exactly one sentence, which holds every needed word."""
    assert outcome.code == 2, (outcome.code, outcome.said, outcome.out)
    assert "Traceback" not in outcome.err
    assert len(outcome.said) == 1, outcome.said
    sentence = outcome.said[0]
    assert sentence.startswith("segmentation: "), sentence
    assert sentence.endswith("."), sentence
    assert not re.search(r"[a-z`')]\. [A-Z]", sentence), f"more than one sentence: {sentence}"
    for word in needed:
        assert word in sentence, (word, sentence)
    return sentence


FEWER = {"STABILITY_RESAMPLES": 10, "NAMED_RESAMPLES": 5, "SEED_STARTS": 10}
"""Half the time of a tiny shop's run is resampling, whose numbers tests/evidence holds in full."""


def call_cli(*arguments: object) -> Outcome:
    """The command in this process, as `main` runs it: fast, and a defect shows its traceback."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    before = signal.getsignal(signal.SIGTERM)
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
        mock.patch.multiple("segmentation.evidence.stability", **FEWER),
        mock.patch.dict("os.environ"),  # a server's settings are not those of the next test
        mock.patch("os.fsync"),  # 300 a run; who reads at once needs no disk
    ):
        warnings.simplefilter("error", RuntimeWarning)  # a user would see it printed
        try:
            command_line.run_command(
                lambda: command_line.cli([str(a) for a in arguments], standalone_mode=False)
            )
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            signal.signal(signal.SIGTERM, before)
    return Outcome(code, out.getvalue(), err.getvalue())


def process_cli(*arguments: object, **environment: str) -> Outcome:
    """The command as a user starts it."""
    done = subprocess.run(
        [sys.executable, "-m", "segmentation", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def contents_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes; the stage cache and locks are no outputs."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {".cache", LOCK} & {*path.relative_to(folder).parts}
    }


def leftovers_in(runs_dir: Path) -> list[str]:
    """Hidden working files and folders of a run that did not end; locks are meant to stay."""
    found = [*runs_dir.glob(".*"), *(runs_dir / ".cache").glob(".*")]
    return sorted(p.name for p in found if p.name != ".cache" and p.suffix != ".lock")


def order(customer: str, number: object, day: str, quantity: object, amount: object, **more: str):
    """One order line of a tiny shop; ``more`` sets is_valid, is_return or registered_date."""
    line = dict.fromkeys(SHOP_COLUMNS, "") | {"is_valid": "true", "is_return": "false"}
    line |= {"customer_id": customer, "order_id": str(number), "order_date": day}
    return line | {"quantity": str(quantity), "amount": str(amount)} | more


@dataclass
class TinyShop:
    """A shop of a few lines: CSV files, a source SQL file and a profile in one folder."""

    folder: Path
    parameters: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sql(SHOP_SQL)
        self.parameters = {
            "source": str(self.folder / "shop.sql"),
            "location": str(self.folder),
            "n_init": 2,
            "k_max": 3,
        } | self.parameters

    @property
    def runs_dir(self) -> Path:
        return self.folder / "runs"

    def sql(self, text: str) -> TinyShop:
        (self.folder / "shop.sql").write_text(text, encoding="utf-8")
        return self

    def lines(self, rows: list[dict], *, name: str = "orders.csv") -> TinyShop:
        with (self.folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return self

    def bytes(self, content: bytes, *, name: str = "orders.csv") -> TinyShop:
        (self.folder / name).write_bytes(content)
        return self

    def arguments(self, **changed: object) -> list[object]:
        profile = self.folder / "shop.yaml"
        profile.write_text(yaml.safe_dump(self.parameters | changed), encoding="utf-8")
        return ["run", profile, "--runs-dir", self.runs_dir]

    def run(self, **changed: object) -> Outcome:
        return call_cli(*self.arguments(**changed))

    @property
    def result(self) -> Path:
        return self.runs_dir / "shop"


def ordinary_orders(n_customers: int = 40) -> list[dict]:
    """A small ordinary shop: every third customer orders three times, spend differs."""
    return [
        order(
            f"{number:04d}",
            f"{number}-{visit}",
            f"2023-{1 + visit * 3:02d}-{1 + number % 28:02d}",
            1 + number % 5,
            f"{5 + number * 3 + visit}.50",
        )
        for number in range(n_customers)
        for visit in range(3 if number % 3 == 0 else 1)
    ]


@pytest.fixture
def shop(tmp_path: Path) -> TinyShop:
    return TinyShop(tmp_path)


@pytest.fixture(scope="session")
def ordinary_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an ordinary small shop, for reading and copying."""
    shop = TinyShop(tmp_path_factory.mktemp("ordinary")).lines(ordinary_orders())
    assert shop.run().code == 0
    return shop.result


@pytest.fixture(scope="session")
def shop_of_60(tmp_path_factory: pytest.TempPathFactory) -> TinyShop:
    """A shop of 60 customers that was never run, with its profile."""
    shop = TinyShop(tmp_path_factory.mktemp("of_60")).lines(ordinary_orders(60))
    shop.arguments()
    return shop


@pytest.fixture(scope="session")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all processes that run the tests side by side."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "runs"
    folder.mkdir(exist_ok=True)
    return folder


def _made(profile: str, runs_dir: Path) -> Path:
    # another name than the profile's, so that data/processed_data is left alone
    name = f"{profile}_tested"
    with (runs_dir / f"{name}.test-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second finds it made
        if (runs_dir / name).exists():
            return runs_dir / name
        _, parameters = resolve(profile)
        return make_run(profile, parameters, runs_dir=runs_dir, name=name)


@pytest.fixture(scope="session")
def cdnow_run(runs_dir: Path) -> Path:
    return _made("cdnow", runs_dir)


@pytest.fixture(scope="session")
def marketplace_run(runs_dir: Path) -> Path:
    return _made("marketplace", runs_dir)


@pytest.fixture(scope="session", params=["cdnow", "marketplace"])
def shipped_run(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """Each shipped profile in turn: its name and the run's folder."""
    return request.param, request.getfixturevalue(f"{request.param}_run")


@pytest.fixture(autouse=True, scope="module")
def _shipped_features_only():
    """A shop's own features of one file of tests are not known to the next."""
    yield
    for name in set(FEATURES) - set(SHIPPED_FEATURES):
        del FEATURES[name]
