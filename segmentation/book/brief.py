"""One page of A4 per data set for the meeting: the front page's own words, to print or as PDF."""

from __future__ import annotations

import contextlib
import html
import os
import re
import shutil
import subprocess
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 120
_LINKS = re.compile(r'<span class="follow">.*?</span>|<a [^>]*>.*?</a>', re.DOTALL)
_FOLDED = re.compile(r"<details><summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
_DATES = re.compile(rb"/(?:Creation|Mod)Date \([^)]*\)")
_STYLE = """
:root { --pst-color-background: #fff; --pst-color-text-base: #1f1f1f; }
@page { size: A4; margin: 14mm; }
body { max-width: 182mm; margin: 0 auto; font: 11pt/1.4 sans-serif; color: #1f1f1f; background: #fff; }
h1 { margin: 0 0 2mm; font-size: 20pt; }
.tiles { grid-template-columns: repeat(4, minmax(0, 1fr)); }
.front .front-two { grid-template-columns: minmax(0, 1fr) minmax(0, 1.2fr); }
dl { display: grid; grid-template-columns: 42mm 1fr; gap: 1mm 4mm; font-size: 9pt; }
dt { font-weight: 600; }
dd { margin: 0; }
.front .tile svg { display: block; }
.front .front-two > :first-child { order: 0; }
"""


def brief_page(title: str, front: str, style: str) -> str:
    """The page, whole in itself; links are left out, since paper follows none."""
    said = _LINKS.sub("", _FOLDED.sub(r'<p class="front-head">\1</p>\2', front))
    name = html.escape(title)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8" /><title>Brief | {name}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1" />'
        f"<style>{style}{_STYLE}</style></head>"
        f"<body><main><h1>{name}</h1>{said}</main></body></html>\n"
    )


def write_brief(page: str, folder: Path, name: str) -> Path:
    """The page as ``<name>.pdf`` where a browser can print it, else as ``<name>.html``."""
    source, printed = folder / f"{name}.html", folder / f"{name}.pdf"
    source.write_text(page, encoding="utf-8")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return source
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [
        browser, "--headless", "--disable-gpu", *as_root, "--no-pdf-header-footer",
        f"--user-data-dir={folder / 'browser'}", f"--print-to-pdf={printed}", source.as_uri(),
    ]  # fmt: skip
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
    shutil.rmtree(folder / "browser", ignore_errors=True)
    if not printed.exists():
        return source
    content = printed.read_bytes()
    # the same page gives the same bytes on any day
    printed.write_bytes(_DATES.sub(lambda found: b" " * len(found[0]), content))
    return printed
