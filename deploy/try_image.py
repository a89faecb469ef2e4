"""The commands of the Dockerfile, tried where there is no registry of images.

`sudo python3 deploy/try_image.py MODEL` makes the base with debootstrap, follows the Dockerfile
in it with chroot, serves MODEL as the image's user and asks it. Needs Linux, root, debootstrap
and a package index; pip's settings and certificates of this machine are used. Everything is
made in a temporary folder, which is removed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "python3,python3-venv,ca-certificates"
PORT = 8765
FOREIGN = ("pytest", "IPython", "jupyter_client", "playwright", "matplotlib", "pandas", "pip")


def instructions(text: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile in their order."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    parts = [line.split(None, 1) for line in lines.replace("\\\n", " ").splitlines()]
    return [(part[0], part[1].strip()) for part in parts if part]


def base_of(image: str, folder: Path) -> Path:
    """A root like that of `python:3.x-slim-SUITE`, with the suite's own Python."""
    suite = re.fullmatch(r"python:3\.\d+-slim-(\w+)", image)[1]
    call("debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, folder, MIRROR)
    shutil.copy("/etc/resolv.conf", folder / "etc")
    (folder / "dev" / "shm").mkdir(exist_ok=True)
    (folder / "dev" / "shm").chmod(0o1777)  # as every container has it
    for name in ("etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"):  # this machine's
        if Path("/", name).exists():
            shutil.copy(Path("/", name), folder / name)
    return folder


def call(*command: object) -> None:
    """A command that has to succeed."""
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def inside(root: Path, *command: str, user: str = "0") -> list[str]:
    """The words that run a command in a root, with nothing of this environment."""
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return ["chroot", f"--userspec={user}", str(root), "env", "-i", path, "LANG=C.UTF-8", *command]


def build(scratch: Path) -> tuple[Path, dict[str, str]]:
    """Follow the Dockerfile; the last stage's root, and its last USER, ENTRYPOINT and CMD."""
    stages: dict[str, Path] = {}
    root, directory, told, base = scratch, "/", {"USER": "0"}, None
    for word, rest in instructions((ROOT / "deploy" / "Dockerfile").read_text("utf-8")):
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            base = base or base_of(image, scratch / "base")
            root, directory = scratch / (name or "last"), "/"
            call("cp", "-a", base, root)
            stages[name] = root
        elif word == "WORKDIR":
            directory = rest
            (root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            copied = re.fullmatch(r"(?:--from=(\w+) )?(.+) (\S+)", rest)
            place = root / Path(directory, copied[3]).as_posix().lstrip("/")
            for source in copied[2].split():
                origin = stages[copied[1]] / source.lstrip("/") if copied[1] else ROOT / source
                if origin.is_dir():
                    shutil.copytree(origin, place, symlinks=True, dirs_exist_ok=True)
                else:
                    shutil.copy(origin, place / origin.name)
        elif word == "RUN":
            call(*inside(root, "sh", "-c", f"cd {directory} && {rest}"))
        else:
            told[word] = rest
    return root, told


def try_serving(root: Path, told: dict[str, str], model: Path) -> None:
    """Start the image's own command as its own user; it has to say that it is ready."""
    shutil.copytree(model, root / "model")
    (root / "keys").write_text("only-for-this-trial-0123456789\n", encoding="utf-8")
    words = json.loads(told["ENTRYPOINT"]) + json.loads(told["CMD"]) + ["--port", str(PORT)]
    assert told["USER"].isdigit() and told["USER"] != "0"
    user = f"{told['USER']}:{told['USER']}"
    server = subprocess.Popen(inside(root, *words, user=user), stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(100):
            time.sleep(0.2)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health/ready") as answer:
                    print("ready:", answer.read().decode().strip())
                    return
            except OSError:
                if server.poll() is not None:
                    break
        raise SystemExit(f"the image does not serve: {server.stderr.read()[-2000:]}")
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Build, look what is in it, serve."""
    with tempfile.TemporaryDirectory() as scratch:
        root, told = build(Path(scratch))
        packages = next((root / "opt/venv/lib").glob("python3.*")) / "site-packages"
        found = [name for name in FOREIGN if (packages / name).exists()]
        assert not found, f"the image holds {', '.join(found)}"
        size = sum(p.stat().st_size for p in packages.rglob("*") if p.is_file()) >> 20
        print(f"packages: {len(list(packages.glob('*.dist-info')))}, {size} MB")
        try_serving(root, told, Path(sys.argv[1]).resolve())


if __name__ == "__main__":
    main()
