"""The real server under faults: nothing accepted is lost, nobody waits for the slow."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from api_server import Server, free_port, is_answering, serving
from conftest import ROOT, assert_refused, call_cli
from malformed_http import MALFORMED, UNKNOWN_CODING, post

from segmentation.deliver.api.worker import REQUEST_SECONDS
from segmentation.segments.model import document_checksum

CUSTOMER = {
    "customer_id": "c1",
    "register_to_order": 10,
    "first_to_last_order": 30.5,
    "total_unit": 4,
    "total_spent": 99.5,
}
ONE = {"customers": [CUSTOMER]}
MANY = {"columns": {name: [value] * 10_000 for name, value in CUSTOMER.items()}}


@pytest.fixture(scope="module")
def server(marketplace_run, tmp_path_factory):
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(marketplace_run / "model", log=log) as running:
        yield running


@pytest.fixture
def model(marketplace_run, tmp_path) -> Path:
    return shutil.copytree(marketplace_run / "model", tmp_path / "model")


def renamed(model: Path, target: Path, suffix: str) -> Path:
    """The same model with other names for its segments."""
    shutil.copytree(model, target)
    path = target / "model.json"
    document = json.loads(path.read_text())
    for group in document["groups"].values():
        group["names"] = [f"{name} {suffix}" for name in group["names"]]
    document["sha256"] = document_checksum(document)
    path.write_text(json.dumps(document))
    return target


# --- start ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.json", "core_points.npz"])
@pytest.mark.parametrize("damage", ["truncated", "one bit", "missing"])
def test_damaged_model_is_not_served(model, name, damage):
    path = model / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01
    path.write_bytes(content if damage == "one bit" else content[: len(content) // 2])
    if damage == "missing":
        path.unlink()
    assert_refused(call_cli("serve", model, "--port", free_port()), name)


def test_address_others_can_reach_needs_keys(model):
    outcome = call_cli("serve", model, "--host", "0.0.0.0", "--port", free_port())
    assert_refused(outcome, "--keys", "--public-without-keys")


def test_mistakes_in_the_options_are_said_in_one_sentence(model, tmp_path):
    assert_refused(call_cli("serve", model, "--workers", 0), "--workers", "1 to 64")
    assert_refused(call_cli("serve", model, "--keys", tmp_path / "no"), "--keys", "cannot be read")
    (tmp_path / "keys").write_text("short\n")
    assert_refused(call_cli("serve", model, "--keys", tmp_path / "keys"), "16 characters")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_refused(call_cli("serve", model, "--port", port), str(port), "in use")


def test_server_that_waits_for_its_model_tells_that_it_is_not_ready(marketplace_run, tmp_path):
    place = tmp_path / "model"
    with serving(place, "--wait-for-model", "--workers", 1, log=tmp_path / "log") as server:
        assert server.request("GET", "/health/ready")[0] == 503
        assert server.request("POST", "/v1/segments", ONE)[0] == 503
        shutil.copytree(marketplace_run / "model", tmp_path / "new")
        (tmp_path / "new").rename(place)
        server.wait_until(lambda: server.request("GET", "/health/ready")[0] == 200)
        assert server.ask(ONE)["customers"][0]["customer_id"] == "c1"


# --- requests that are no HTTP ---------------------------------------------------------


def test_there_are_a_hundred_malformed_requests():
    assert len(MALFORMED) >= 100


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_http_is_refused_and_the_connection_closed(server, name):
    received = server.raw(MALFORMED[name])

    first = received.split(b"\r\n", 1)[0]
    if received:
        status = int(first.split()[1])
        accepted = {*range(400, 500)} | ({501} if name in UNKNOWN_CODING else set())
        assert status in accepted, received
        assert b"problem+json" in received
    assert b"Traceback" not in received
    assert b'"customers"' not in received
    assert received.count(b"HTTP/1.1 ") <= 1, "a part of the body was taken for a request"


def test_after_all_that_the_server_answers_and_has_noticed_no_defect(server):
    assert server.ask(ONE)["customers"][0]["segment_type"] == "normal"
    assert not [entry for entry in server.logged() if entry["event"] == "defect"]
    assert len(server.workers()) == 2


def test_body_shorter_than_announced_is_refused(server):
    body = json.dumps(ONE).encode()
    received = server.raw(post(body, length=len(body) + 10))
    assert received.split()[1] in (b"400", b"408")


def test_chunked_body_is_answered_and_bounded(server):
    body = json.dumps(ONE).encode()
    head = b"POST /v1/segments HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    assert server.raw(whole).split()[1] == b"200"
    piece = b"%x\r\n%s\r\n" % (1 << 20, b" " * (1 << 20))
    assert server.raw(head + piece * 17 + b"0\r\n\r\n").split()[1] == b"413"


def test_two_requests_at_once_on_one_connection_are_both_answered(server):
    body = json.dumps(ONE).encode()
    whole = post(body, close=False) + post(body)
    assert server.raw(whole).count(b'"segment_type":"normal"') == 2


# --- bodies made to fill the memory ----------------------------------------------------

BODY = 16 * 1024 * 1024
"""The largest body that is accepted."""
JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
HEADER = ",".join(CUSTOMER).encode() + b"\n"
ORDER = (
    b'{"customer_id":"c%d","order_id":"o%d","order_date":"2024-03-01","quantity":1,"amount":"9.99"}'
)


def filled(start: bytes, piece: bytes, end: bytes = b"", size: int = BODY) -> bytes:
    """A body of the largest size, one piece again and again."""
    return start + piece * ((size - len(start) - len(end)) // len(piece)) + end


def many_keys(count: int) -> bytes:
    return b",".join(b'"k%d":1' % n for n in range(count))


HEAVY = {
    "line breaks": (NDJSON, lambda: b"\n" * BODY, 413),
    "objects, a line each": (NDJSON, lambda: filled(b"", b"{}\n"), 413),
    "one line of unknown keys": (NDJSON, lambda: b"{" + many_keys(1_200_000) + b"}", 413),
    "100,000 lines of unknown keys": (
        NDJSON,
        lambda: (b"{" + many_keys(16) + b"}\n") * 100_000,
        422,
    ),
    "100,000 customers": (NDJSON, lambda: (json.dumps(CUSTOMER).encode() + b"\n") * 100_000, 200),
    "line breaks as CSV": (CSV, lambda: b"\n" * BODY, 422),
    "line breaks below a header": (CSV, lambda: filled(HEADER, b"\n"), 413),
    "commas": (CSV, lambda: filled(HEADER, b","), 413),
    "one record of many lines": (CSV, lambda: filled(HEADER, b'"ab\n",'), 413),
    "CSV beyond ASCII": (CSV, lambda: filled(HEADER, "🛒".encode()), 400),
    "100,000 records": (CSV, lambda: HEADER + b"customer,1,2.5,3,99.123456789\n" * 100_000, 200),
    "empty objects": (JSON, lambda: filled(b'{"customers":[', b"{},", b"{}]}"), 413),
    "empty lists": (JSON, lambda: filled(b'{"columns":{"customer_id":[', b"[],", b"[]]}}"), 413),
    "unknown keys": (JSON, lambda: b'{"customers":[{' + many_keys(1_200_000) + b"}]}", 413),
    "unknown keys at the top": (JSON, lambda: b"{" + many_keys(1_200_000) + b"}", 413),
    "one key again and again": (
        JSON,
        lambda: filled(b'{"customers":[{', b'"total_unit":1,', b'"total_unit":1}]}'),
        413,
    ),
    "one text": (JSON, lambda: filled(b'{"customers":[{"customer_id":"', b"x", b'"}]}'), 422),
    "10,000 wrong customers": (
        JSON,
        lambda: filled(b'{"customers":[', b'{"a":"","b":"","c":"","d":""},', b"{}]}", 290_000),
        422,
    ),
}


HEAVY_ORDERS = {
    "empty objects": (lambda: filled(b'{"orders":[', b"{},", b"{}]}"), 413),
    "unknown keys": (lambda: b'{"orders":[{' + many_keys(1_200_000) + b"}]}", 413),
    "50,000 lines": (
        lambda: b'{"orders":[' + b",".join(ORDER % (n % 15_000, n) for n in range(50_000)) + b"]}",
        200,
    ),
}


@pytest.fixture(scope="module")
def lone_worker(marketplace_run, tmp_path_factory):
    log = tmp_path_factory.mktemp("lone") / "log"
    with serving(marketplace_run / "model", "--workers", 1, log=log) as running:
        running.ask(ONE)
        yield running


def peak_of(worker: int, *, forget: bool = False) -> int:
    """The most memory that a process ever had, in bytes, or since it was told to forget."""
    if forget:
        Path(f"/proc/{worker}/clear_refs").write_text("5")
    status = Path(f"/proc/{worker}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.mark.parametrize("name", HEAVY)
def test_no_body_takes_more_memory_than_twice_itself_and_100_megabytes(lone_worker, name):
    """One such body took up to 1.5 GB, and systemd then killed the worker."""
    kind, body, status = HEAVY[name]
    assert_bounded(lone_worker, "/v1/segments", kind, body(), status)


@pytest.mark.parametrize("name", HEAVY_ORDERS)
def test_no_orders_take_more_memory_either(lone_worker, name):
    body, status = HEAVY_ORDERS[name]
    lone_worker.ask({"orders": [json.loads(ORDER % (1, 1))]}, "/v1/features")  # loads DuckDB
    assert_bounded(lone_worker, "/v1/features", JSON, body(), status)


def test_large_bodies_at_once_take_no_more_memory_than_two_of_them(lone_worker):
    (worker,) = lone_worker.workers()
    before = peak_of(worker, forget=True)
    body = HEAVY["empty objects"][1]()

    def send(_: int) -> int:
        return lone_worker.request("POST", "/v1/segments", body, kind=JSON)[0]

    with ThreadPoolExecutor(12) as pool:
        statuses = set(pool.map(send, range(12)))

    assert statuses <= {413, 503}
    assert 413 in statuses
    assert lone_worker.workers() == [worker]
    assert peak_of(worker) - before < 2 * (2 * BODY + 100 * 1024 * 1024)


def assert_bounded(server: Server, path: str, kind: str, body: bytes, status: int) -> None:
    assert len(body) <= BODY
    (worker,) = server.workers()
    grown = []
    for _ in range(2):  # what earlier bodies left to be collected is none of this one's
        before = peak_of(worker, forget=True)
        answered = server.request("POST", path, body, kind=kind)
        grown.append(peak_of(worker) - before)
        assert answered[0] == status, answered[2][:500]
        if grown[-1] < 2 * len(body) + 100 * 1024 * 1024:
            break
    assert server.workers() == [worker]
    assert min(grown) < 2 * len(body) + 100 * 1024 * 1024, f"{grown}"


# --- slow clients, crashes, the end -----------------------------------------------------


def latencies(server: Server, count: int) -> list[float]:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        server.ask(ONE)
        times.append(time.perf_counter() - started)
    return times


def test_sixty_slow_connections_do_not_hold_up_the_others(server):
    slow = []
    body = json.dumps(ONE).encode()
    for number in range(60):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(post(body)[: 30 if number % 2 else -20])
        slow.append(connection)
    try:
        times = latencies(server, 60)
    finally:
        for connection in slow:
            connection.close()
    assert statistics.median(times) < 0.1
    assert max(times) < 2


DRIPPING = 140
"""More than all threads of both workers."""


class Drips:
    """Connections that send a byte every few seconds, half of them within their headers."""

    def __init__(self, port: int, seconds: float) -> None:
        body = post(json.dumps(ONE).encode())
        self.stop = threading.Event()
        self.seconds = seconds
        self.open = []
        for number in range(DRIPPING):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.sendall(body[: 30 if number % 2 else -60])
            self.open.append(connection)
        self.thread = threading.Thread(target=self._drip)

    def _drip(self) -> None:
        while not self.stop.wait(self.seconds):
            for connection in self.open:
                with contextlib.suppress(OSError):
                    connection.send(b"a")

    def __enter__(self) -> Drips:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()
        for connection in self.open:
            connection.close()


@pytest.fixture
def proxy(server, tmp_path):
    """nginx with the shipped configuration before the server; only what a test lacks is changed."""
    if shutil.which("nginx") is None:
        pytest.skip("needs nginx: apt-get install nginx-light")
    port = free_port()
    text = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    text = text.replace("server 127.0.0.1:8000", f"server 127.0.0.1:{server.port}")
    text = re.sub(r"\s*ssl_\w+ .*;", "", text).replace(
        "listen 443 ssl;", f"listen 127.0.0.1:{port};"
    )
    kept = [f"{kind}_temp_path {tmp_path};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")]
    whole = f"""
        daemon off; pid {tmp_path}/pid; error_log {tmp_path}/errors;
        events {{ worker_connections 768; }}
        http {{ access_log off; client_body_temp_path {tmp_path}; {" ".join(kept)} {text} }}
    """
    (tmp_path / "nginx.conf").write_text(whole)
    command = ["nginx", "-p", str(tmp_path), "-e", str(tmp_path / "errors")]
    process = subprocess.Popen([*command, "-c", str(tmp_path / "nginx.conf")])
    before = Server(process, port, None)
    try:
        before.wait_until(lambda: is_answering(before))
        yield before
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_clients_that_drip_do_not_reach_the_server_behind_its_proxy(proxy):
    with Drips(proxy.port, seconds=1):
        for _ in range(3):
            assert proxy.ask(ONE)["customers"]
            time.sleep(1.5)


def test_clients_that_ask_too_often_are_told_so_by_the_proxy(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    statuses = []
    for number in range(600):
        # a key that nobody gave out makes no client of its own
        connection.request("GET", "/v1/model", headers={"X-API-Key": f"made-up-{number}"})
        answered = connection.getresponse()
        answered.read()
        statuses.append(answered.status)
        if answered.status == 429:
            break
    connection.close()
    assert set(statuses) == {200, 429}


def test_clients_that_drip_are_cut_by_the_server_itself(model, tmp_path):
    """Without a proxy: they hold all threads, but not longer than a request may take."""
    with (
        serving(model, log=tmp_path / "log") as server,
        Drips(server.port, seconds=4),
    ):
        server.wait_until(lambda: _answers(server), seconds=REQUEST_SECONDS + 20)


def _answers(server: Server) -> bool:
    try:
        return bool(server.ask(ONE)["customers"])
    except OSError:
        return False


def test_connections_are_shared_out_between_the_workers(model, tmp_path):
    """Whoever woke first used to take all of them, and the other worker idled."""
    with serving(model, log=tmp_path / "log") as server, contextlib.ExitStack() as stack:
        server.wait_until(lambda: [_is_ready(worker) for worker in server.workers()] == [True] * 2)
        before = {worker: _sockets(worker) for worker in server.workers()}
        for _ in range(40):
            address = ("127.0.0.1", server.port)
            connection = stack.enter_context(socket.create_connection(address, timeout=10))
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        shares = [_sockets(worker) - count for worker, count in before.items()]
    assert len(shares) == 2
    assert min(shares) >= 8, shares


def _is_ready(worker: int) -> bool:
    """Its second thread follows the model; it is started last."""
    return len(list(Path(f"/proc/{worker}/task").iterdir())) > 1


def _sockets(process: int) -> int:
    return sum(
        str(link.readlink()).startswith("socket:") for link in Path(f"/proc/{process}/fd").iterdir()
    )


def test_client_that_falls_silent_is_let_go(server):
    """After the time-out of the socket, not of the request's sender."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=25) as connection:
        connection.sendall(post(json.dumps(ONE).encode())[:-5])
        started = time.monotonic()
        received = connection.recv(65536)
        assert time.monotonic() - started < 20
    assert b" 408 " in received.split(b"\r\n")[0]


class Load:
    """Clients that ask again and again, each request on its own connection."""

    def __init__(self, server: Server, clients: int = 4) -> None:
        self.server, self.answers, self.kill = server, [], 0
        self.failures: list[tuple[int, int]] = []  # the client, the number of the kill before
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self._ask, args=[n]) for n in range(clients)]

    def _ask(self, client: int) -> None:
        while not self.stop.is_set():
            try:
                status, _, content = self.server.request("POST", "/v1/segments", ONE)
                with self.lock:
                    self.answers.append((status, content))
            except (OSError, http.client.HTTPException):
                with self.lock:
                    self.failures.append((client, self.kill))
            time.sleep(0.01)

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def test_killed_workers_cost_a_client_at_most_a_request_each(model, tmp_path):
    """What a worker had in hand dies with it; asked again, every client is answered."""
    with serving(model, log=tmp_path / "log") as server, Load(server) as load:
        for kill in range(6):
            time.sleep(0.5)
            victims = server.workers()
            load.kill = kill
            os.kill(victims[0], signal.SIGKILL)
            server.wait_until(
                lambda gone=victims[0]: gone not in server.workers() and len(server.workers()) == 2
            )
        load.stop.set()
        counted = re.search(r"customers_total (\d+)", server.request("GET", "/metrics")[2].decode())
    assert len(load.failures) == len(set(load.failures)), "a client lost two to one kill"
    assert len(load.answers) > 50
    assert {status for status, _ in load.answers} == {200}
    assert int(counted[1]) >= 0.9 * len(load.answers), "a dead worker took its counts with it"


def test_sigterm_answers_what_was_accepted(model, tmp_path):
    body = json.dumps(MANY).encode()
    received: list[bytes] = []
    with serving(model, log=tmp_path / "log") as server:
        connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(6)]
        for connection in connections:
            connection.sendall(post(body)[:-1])  # all but the last byte: accepted, in flight
        time.sleep(0.5)
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        for connection in connections:
            connection.sendall(b"}")
        for connection in connections:
            content = b""
            while piece := connection.recv(1 << 20):
                content += piece
            received.append(content)
        assert server.process.wait(timeout=20) == 0
        assert time.monotonic() - started < 15
    assert [content.split()[1] for content in received] == [b"200"] * 6
    assert all(content.endswith(b"}}") for content in received)


def test_full_disk_for_the_log_costs_no_answer(model):
    with Path("/dev/full").open("w") as full, serving(model, log=None, stderr=full) as server:
        for _ in range(20):
            assert server.ask(ONE)["customers"]
        assert server.request("POST", "/v1/segments", b"{")[0] == 400


# --- another model ---------------------------------------------------------------------


def test_model_is_replaced_under_load_and_no_answer_mixes_two(model, tmp_path):
    other = renamed(model, tmp_path / "other", "(new)")
    pointer = tmp_path / "current"
    pointer.write_text("model\n")
    with serving(pointer, log=tmp_path / "log") as server:
        with Load(server) as load:
            for target in ("other", "model", "other"):
                time.sleep(1.2)
                (tmp_path / "next").write_text(target + "\n")
                (tmp_path / "next").replace(pointer)
            time.sleep(1.5)
        assert load.failures == []
        seen = set()
        for status, content in load.answers:
            assert status == 200
            answer = json.loads(content)
            is_new = answer["customers"][0]["segment"].endswith("(new)")
            seen.add((answer["model"]["sha256"], is_new))
        hashes = {
            (json.loads((folder / "model.json").read_text())["sha256"], folder == other)
            for folder in (model, other)
        }
        assert seen == hashes


def test_bad_model_is_refused_and_the_old_one_kept(model, tmp_path):
    good = json.loads((model / "model.json").read_text())
    with serving(model, log=tmp_path / "log") as server:
        broken = (model / "core_points.npz").read_bytes()[:-100]
        (model / "core_points.npz").write_bytes(broken)
        server.process.send_signal(signal.SIGHUP)
        server.wait_until(lambda: not server.get("/health/ready")["is_newest"])

        assert server.ask(ONE)["model"]["sha256"] == good["sha256"]
        os.kill(server.workers()[0], signal.SIGKILL)
        time.sleep(2)
        for _ in range(20):  # the successor has the good model too
            assert server.ask(ONE)["model"]["sha256"] == good["sha256"]
        metrics = server.request("GET", "/metrics")[2].decode()
        assert re.search(r"model_failures_total [1-9]", metrics)


def test_sighup_loads_the_model_again_and_stops_nothing(model, tmp_path):
    with serving(model, log=tmp_path / "log") as server:
        server.wait_until(lambda: len(server.workers()) == 2)
        before = server.workers()
        renamed(model, tmp_path / "other", "(new)")
        for name in ("core_points.npz", "model.json"):
            shutil.copy(tmp_path / "other" / name, model / name)
        server.process.send_signal(signal.SIGHUP)
        server.wait_until(
            lambda: all(
                server.ask(ONE)["customers"][0]["segment"].endswith("(new)") for _ in range(8)
            )
        )
        assert server.workers() == before


def test_server_needs_the_model_only_not_the_run(model, tmp_path):
    """A model folder can be copied to a machine that never saw the data."""
    code = "import sys; from segmentation.deliver.api.store import ModelStore; from pathlib import Path; "
    code += "print(ModelStore(Path(sys.argv[1])).load().sha256)"
    done = subprocess.run(
        [sys.executable, "-c", code, model], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == json.loads((model / "model.json").read_text())["sha256"]
