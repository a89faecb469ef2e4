"""Fetching Online Retail from a server that misbehaves, and importing a copy."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import resource
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import ROOT, Outcome, assert_refused, call_cli

from segmentation.orders import fetch

PARQUET = ROOT / "data" / "raw_data" / "online_retail" / "online_retail.parquet"
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
TWO_LINES = HEADER + (
    "536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
    "C536379,85123A,HOLDER,-1,2010-12-01 09:41:00,2.55,17851,United Kingdom\n"
)
TOTALS = fetch.Totals(lines=2, customers=2, invoices=2, units=5, amount=Decimal("12.750"))


def archive(text: str = TWO_LINES) -> bytes:
    """A ZIP archive like UCI's, padded so that half of it is a half."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("read me", bytes(range(256)) * 400)
        packed.writestr("Online Retail.csv", text)
    return file.getvalue()


CONTENT = archive()
HALF = len(CONTENT) // 2


@dataclass
class Misbehaving:
    """A server whose answers are scripted, one function for each request in turn."""

    url: str = ""
    script: list[Callable] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, *answers: Callable) -> str:
        self.script = list(answers)
        return self.url


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    state = Misbehaving()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append(dict(self.headers))
            answer = state.script.pop(0) if len(state.script) > 1 else state.script[0]
            with contextlib.suppress(OSError):
                answer(self)

        def log_message(self, *_):
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    state.url = f"http://127.0.0.1:{listening.server_address[1]}/online+retail.zip"
    threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
    yield state
    listening.shutdown()
    listening.server_close()


@pytest.fixture(autouse=True)
def quick_and_small(monkeypatch):
    monkeypatch.setattr(fetch, "PUBLISHED", TOTALS)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def ok(*, until: int | None = None, content: bytes = CONTENT) -> Callable:
    """The file, cut off after ``until`` bytes."""

    def answer(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:until])

    return answer


def status(code: int, **headers: str) -> Callable:
    def answer(handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def fetched(folder: Path, url: str, *more: object) -> Outcome:
    return call_cli("fetch", "online-retail", "--url", url, "--output", folder, *more)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- it works -------------------------------------------------------------------------


def test_file_is_downloaded_checked_and_found_again(server, tmp_path):
    outcome = fetched(tmp_path, server(ok()))

    assert outcome.code == 0, outcome.said
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert (
        f"2 lines, 2 customers, 2 invoices, 5 units and GBP 12.750 as published; sha256 {digest}"
        in outcome.out
    )
    assert outcome.err == ""  # a progress bar is for a terminal
    assert names_in(tmp_path) == ["online_retail.zip"]
    assert (tmp_path / "online_retail.zip").read_bytes() == CONTENT
    again = fetched(tmp_path, server(ok()))
    assert again.code == 0
    assert "already there" in again.out
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("content", "name"),
    [(TWO_LINES.encode(), "online_retail.csv"), (archive(), "online_retail.zip")],
    ids=["csv", "zip"],
)
def test_file_is_named_after_what_it_is(server, tmp_path, content, name):
    assert fetched(tmp_path, server(ok(content=content))).code == 0
    assert names_in(tmp_path) == [name]


def test_redirect_is_followed(server, tmp_path):
    assert fetched(tmp_path, server(status(302, Location="/elsewhere"), ok())).code == 0


# --- the server misbehaves ------------------------------------------------------------


def stalls(handler) -> None:
    ok(until=HALF)(handler)
    handler.wfile.flush()
    time.sleep(3)


def says_nothing(handler) -> None:
    time.sleep(3)


def ends_without_a_length(handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(CONTENT[:HALF])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(status(404), ("404 Not Found", "--from-file"), id="not-found"),
        pytest.param(status(500), ("the server answers 500",), id="server-error"),
        pytest.param(status(302, Location="/again"), ("redirects without end",), id="redirect-loop"),
        pytest.param(ok(until=HALF), ("broke before the end",), id="truncated"),
        pytest.param(stalls, ("sent nothing for 0.3 seconds",), id="stalls"),
        pytest.param(says_nothing, ("sent nothing for 0.3 seconds",), id="says-nothing"),
        pytest.param(ends_without_a_length, ("no complete ZIP archive",), id="no-length-and-cut"),
        pytest.param(ok(content=b"<html>Log in</html>\n"), ("online_retail.csv",), id="log-in-page"),
        pytest.param(ok(content=b""), ("empty",), id="nothing-at-all"),
        pytest.param(
            ok(content=archive(TWO_LINES.replace("2.55", "2.45"))),
            ("is not UCI Online Retail as published", "12.250 amount instead of 12.750"),
            id="another-price",
        ),
        pytest.param(
            ok(content=archive(HEADER + TWO_LINES.splitlines()[1] + "\n")),
            ("1 lines instead of 2", "1 customers instead of 2"),
            id="lines-missing",
        ),
        pytest.param(ok(content=CONTENT[:2000] + b"?" + CONTENT[2001:-60] + bytes(60)),
                     ("no complete ZIP archive",), id="wrong-bytes"),
    ],
)  # fmt: skip
def test_what_is_not_the_file_is_said_in_one_sentence_and_never_appears(
    server, tmp_path, answer, words
):
    outcome = fetched(tmp_path, server(answer), "--timeout", "0.3")
    assert_refused(outcome, *words)
    assert names_in(tmp_path) == []


def test_checksum_that_does_not_fit_is_refused(server, tmp_path):
    assert_refused(fetched(tmp_path, server(ok()), "--sha256", "0" * 64), "SHA-256", "not the one")
    assert names_in(tmp_path) == []
    digest = hashlib.sha256(CONTENT).hexdigest().upper()
    assert fetched(tmp_path, server(ok()), "--sha256", digest).code == 0


def test_absent_server_is_said_without_the_key_in_its_address(tmp_path):
    sentence = assert_refused(fetched(tmp_path, "http://127.0.0.1:1/x.zip?key=abc"), "be reached")
    assert "abc" not in sentence
    assert names_in(tmp_path) == []


def test_full_disk_is_said_and_nothing_stays(server, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        outcome = fetched(tmp_path, server(ok()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_refused(outcome, "Cannot write", "disk")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "file:///etc/passwd", "https:///x", "x", "http://a:b"]
)
def test_address_that_is_none_is_refused(tmp_path, url):
    assert_refused(fetched(tmp_path, url), "--url", "https://host/file")


def test_password_in_the_address_is_refused_and_not_repeated(tmp_path):
    outcome = fetched(tmp_path, "https://me:hunter2@example.org/x.zip")
    assert_refused(outcome, "password")
    assert "hunter2" not in outcome.err


# --- a copy that is there already -----------------------------------------------------


def test_copy_is_imported_checked_and_left_alone(tmp_path):
    copy = tmp_path / "Download.CSV"
    copy.write_text(TWO_LINES)
    arguments = ["fetch", "online-retail", "--output", tmp_path / "raw", "--from-file"]

    outcome = call_cli(*arguments, copy)

    assert outcome.code == 0, outcome.said
    assert (tmp_path / "raw" / "online_retail.csv").read_text() == TWO_LINES == copy.read_text()


def test_copy_of_something_else_is_refused(tmp_path):
    copy = tmp_path / "mine.csv"
    copy.write_text(TWO_LINES.replace(",6,", ",7,"))
    arguments = ["fetch", "online-retail", "--output", tmp_path / "raw", "--from-file"]
    assert_refused(call_cli(*arguments, copy), "mine.csv", "6 units instead of 5", "-p location")
    assert_refused(call_cli(*arguments, tmp_path / "absent.csv"), "no such file")
    assert names_in(tmp_path / "raw") == []


def test_default_address_is_public_and_encrypted_and_leaves_the_shipped_copy_alone():
    assert fetch.URL.startswith("https://archive.ics.uci.edu/")
    profile = (ROOT / "notebooks" / "params" / "online_retail.yaml").read_text("utf-8")
    assert f"location: {fetch.FOLDER.relative_to(ROOT).as_posix()}\n" not in profile
    assert f"{fetch.FOLDER.relative_to(ROOT).as_posix()}/\n" in (ROOT / ".gitignore").read_text()


def test_the_shipped_copy_has_the_published_totals_and_the_sum_in_its_data_card(monkeypatch):
    monkeypatch.undo()
    assert fetch.totals_of(PARQUET) == fetch.PUBLISHED
    digest = hashlib.sha256(PARQUET.read_bytes()).hexdigest()
    assert f"| `{digest}` |" in (ROOT / "data" / "README.md").read_text("utf-8")
