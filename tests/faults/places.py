"""A tiny shop that is put back to the same state before every fault, and what readers see of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from conftest import ROOT, TinyShop, contents_of, leftovers_in, ordinary_orders

from segmentation.core.own_folders import MARK

KILLED_AT = Path(__file__).with_name("killed_at.py")
COMMAND = [sys.executable, "-m", "segmentation"]


def orders(n_customers: int) -> list[dict]:
    """An ordinary small shop; with more customers every figure is another."""
    return [
        line | {"customer_id": f"client-{int(line['customer_id']):05d}"}
        for line in ordinary_orders(n_customers)
    ]


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str

    def ok(self) -> Ended:
        assert self.code == 0, self.err[-3000:]
        return self


@dataclass
class Place:
    """The shop in a folder of its own, always the same one: a result may tell where it was made."""

    folder: Path

    def __post_init__(self) -> None:
        self.shop = TinyShop(self.folder)
        self.profile = self.shop.arguments()[1]
        self.runs_dir = self.shop.runs_dir
        self.saved = self.folder.with_name(self.folder.name + "_saved")

    @property
    def arguments(self) -> list[str]:
        return [str(self.profile), "--runs-dir", str(self.runs_dir)]

    def other_profile(self) -> list[str]:
        """Arguments of a second profile in the same folder of runs."""
        path = self.folder / "neighbour.yaml"
        settings = yaml.safe_load(self.profile.read_text("utf-8"))
        path.write_text(yaml.safe_dump(settings | {"currency": "GBP"}), encoding="utf-8")
        return [str(path), "--runs-dir", str(self.runs_dir)]

    def call(self, *arguments: object) -> Ended:
        """A command as a user starts it."""
        return ended(start([*COMMAND, *map(str, arguments)]))

    def killed(self, number: int, *arguments: object) -> Ended:
        """A command that dies at its n-th change of a file; its helpers have ended too."""
        listed = self.folder.with_name(self.folder.name + "_changes")
        command = [sys.executable, str(KILLED_AT), str(number), str(listed), *map(str, arguments)]
        process = start(command)
        done = ended(process)
        wait_for_the_rest_of(process.pid)
        return done

    def changes_of(self, *arguments: object) -> list[str]:
        """What a command changes, in its order; it runs to its end."""
        self.killed(0, *arguments).ok()
        listed = self.folder.with_name(self.folder.name + "_changes")
        return listed.read_text("utf-8").splitlines()

    def save(self) -> None:
        """Remember the state that every fault begins from."""
        shutil.copytree(self.folder, self.saved, symlinks=True)

    def keep_cache(self) -> None:
        """Remember the results of stages, for faults of a command that finds them there."""
        shutil.copytree(self.runs_dir / ".cache", f"{self.saved}_cache", symlinks=True)

    def restore(self, *, computed: bool = False) -> None:
        """Back to the state that was saved; ``computed`` with the results of stages."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.saved, self.folder, symlinks=True)
        if computed:
            shutil.rmtree(self.runs_dir / ".cache")
            shutil.copytree(f"{self.saved}_cache", self.runs_dir / ".cache", symlinks=True)

    def seen(self) -> dict[str, object]:
        """The run as its readers see it, through its name; times and cache hits left out."""
        return comparable(contents_of(self.shop.result))

    def book(self) -> dict[str, object]:
        return contents_of(self.runs_dir / "_build" / "html")

    def leftovers(self) -> list[str]:
        return leftovers_in(self.runs_dir)


def comparable(files: dict[str, bytes]) -> dict[str, object]:
    """Contents of a run without what tells how it was computed, which differs every time."""
    manifest = json.loads(files["manifest.json"])
    for stage in manifest["stages"]:
        for told in ("reused", "seconds", "peak_memory_mb"):
            stage.pop(told, None)
    # the event says when, and the mark has the checksums of both
    return files | {"manifest.json": manifest, "openlineage.json": None, MARK: None}


def start(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen) -> Ended:
    out, err = process.communicate(timeout=600)
    return Ended(process.returncode, out, err)


def wait_for_the_rest_of(session: int) -> None:
    """Helpers and kernels of a killed process end by themselves; one that stays is a fault."""
    for _ in range(600):
        left = members_of(session)
        if not left:
            return
        time.sleep(0.1)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"left behind by a killed command: {len(left)} processes")


def members_of(session: int) -> list[int]:
    """Processes of a session that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of_session = path.read_text().rsplit(")", 1)[1].split()[:4]
        except (OSError, ValueError):
            continue
        if int(of_session) == session and state != "Z":
            found.append(int(path.parent.name))
    return found
