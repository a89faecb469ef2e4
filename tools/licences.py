"""Licences of everything that the lock files install: LICENSES.md is written, or checked.

`python tools/licences.py` writes the table, `--check` compares it and fails where a licence
is unknown, or neither permissive nor named with a reason. A package that is not installed
here (another Python, another system, an extra) keeps the row it has.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {
    "requirements-serve.txt": "serve",
    "requirements.txt": "all",
    "requirements-spark.txt": "spark",
    "requirements-lab.txt": "lab",
}
PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD", "CC0-1.0", "ISC", "MIT",
    "MIT-0", "MIT-CMU", "PSF-2.0", "Public Domain", "Zlib",
}  # fmt: skip
SPELLINGS = {
    "3-Clause BSD License": "BSD-3-Clause", "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0", "BSD License": "BSD", "ISC license": "ISC",
    "ISC License (ISCL)": "ISC", "MIT License": "MIT", "MIT license": "MIT", "PSFL": "PSF-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "GNU GPLv2 (with FOSS License Exception)": "GPL-2.0-only with FOSS exception",
    "GNU General Public License (GPL)": "GPL",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}  # fmt: skip
UNCHANGED = "its own files stay under MPL-2.0; they are used unchanged"
NAMED = {
    "certifi": UNCHANGED,
    "docutils": "the GPL is that of a mode for Emacs, which nothing here uses",
    "fqdn": UNCHANGED + ", by JupyterLab only",
    "hypothesis": UNCHANGED + ", in tests only",
    "mysql-connector-python": "GPL-2.0 with Oracle's Universal FOSS Exception, which lets MIT "
    "code use it; who passes on a closed product with it needs another licence, or leaves it out "
    "(only engine mysql, publish and materialize need it)",
    "pathspec": UNCHANGED + ", in checks only",
    "tqdm": "parts are under MPL-2.0; they are used unchanged",
}
HEAD = """# Licences of the dependencies

The project itself is under the [MIT licence](LICENSE). This is what its lock files install: *serve* is what the container image holds, *all* is for reports and development, *spark* and *lab* are the extras. Written by `python tools/licences.py`, checked by `make check`: a licence that is unknown, or neither permissive nor given a reason there, fails.

| package | licence | for | note |
|---|---|---|---|
"""


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_told(about: metadata.PackageMetadata) -> str:
    """The licence that a distribution's own metadata names, in SPDX's words where known."""
    classes = [c.split(" :: ")[-1] for c in about.get_all("Classifier", []) if c[:7] == "License"]
    text = (about.get("License") or "").strip()
    if expression := about.get("License-Expression"):
        return expression
    if text and text not in ("UNKNOWN", "BSD") and "\n" not in text and len(text) < 60:
        return SPELLINGS.get(text, text)
    return " AND ".join(SPELLINGS.get(one, one) for one in classes) or "unknown"


def is_permissive(licence: str) -> bool:
    """Whether one of the licences to choose from asks for nothing but its notice."""
    return any(
        all(part.strip("() ") in PERMISSIVE for part in choice.split(" AND "))
        for choice in licence.split(" OR ")
    )


def fault_of(name: str, licence: str) -> str | None:
    """What is wrong with a package's licence; None where nothing is."""
    if licence == "unknown":
        return f"{name}: no licence is known; look it up and write its row in LICENSES.md"
    if not is_permissive(licence) and name not in NAMED:
        return f"{name}: {licence} is not permissive; drop the package, or give a reason in NAMED"
    return None


def locked() -> dict[str, list[str]]:
    """Every locked package and what it is for."""
    found: dict[str, list[str]] = {}
    for lock, purpose in LOCKS.items():
        text = (ROOT / lock).read_text("utf-8")
        for name in dict.fromkeys(re.findall(r"^([\w.-]+)==", text, re.MULTILINE)):
            found.setdefault(normal(name), []).append(purpose)
    return dict(sorted(found.items()))


def table(before: str) -> tuple[str, list[str]]:
    """LICENSES.md anew, and every fault in it; ``before`` has rows for what is not installed."""
    rows = dict(re.findall(r"^\| ([\w-]+) \| ([^|]+) \|", before, re.MULTILINE))
    here = {normal(d.metadata["Name"]): d.metadata for d in metadata.distributions()}
    lines, faults = [], []
    for name, purposes in locked().items():
        licence = licence_told(here[name]) if name in here else rows.get(name, "unknown")
        faults += filter(None, [fault_of(name, licence)])
        lines.append(f"| {name} | {licence} | {', '.join(purposes)} | {NAMED.get(name, '')} |\n")
    return HEAD + "".join(lines), faults


def main() -> int:
    """Write the table, or with ``--check`` compare it."""
    path = ROOT / "LICENSES.md"
    before = path.read_text("utf-8") if path.exists() else ""
    text, faults = table(before)
    if "--check" not in sys.argv:
        path.write_text(text, encoding="utf-8")
    elif text != before:
        faults.append("LICENSES.md is not what the lock files install: python tools/licences.py")
    for fault in faults:
        print(f"licences: {fault}.", file=sys.stderr)
    return 2 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
