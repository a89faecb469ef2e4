"""In which encoding a text file is written, told from its bytes and never guessed further.

UTF-8 can be proved: other texts hardly ever happen to be valid in it. Of a file that is
not UTF-8, every byte is a character of ISO-8859-1, so that this is believed only where no
byte says otherwise.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from segmentation.core.errors import SourceError

UTF_8, UTF_16, ISO_8859_1, WINDOWS_1252 = "UTF-8", "UTF-16", "ISO-8859-1", "Windows-1252"
_CHUNK = 1 << 20
_SEQUENCE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_CONTROLS = re.compile(rb"[\x80-\x9f]")
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


def encoding_of(path: Path) -> str:
    """Encoding of a text file: ``UTF-8``, ``UTF-16``, ``ISO-8859-1`` or ``Windows-1252``.

    Windows-1252 is ISO-8859-1 with letters and quotes where that has control characters.

    Raises
    ------
    SourceError
        If the file is empty, holds NUL bytes, is UTF-8 with damaged bytes, or is in none of
        these; with the offset of the first such byte.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "orders.csv")
    ...     _ = path.write_bytes("café".encode("latin-1"))
    ...     encoding_of(path)
    'ISO-8859-1'
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and start[2:] != b"\0\0":
        return UTF_16
    bad = _first_byte_not_utf8(path)
    if bad is None:
        return UTF_8
    found, carried = ISO_8859_1, b""
    offset = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if _SEQUENCE.search(carried + chunk):
                raise SourceError(
                    f"{path.name}: is not UTF-8 near byte {bad:,}, though other characters of it "
                    "are; save it as UTF-8 from where it was exported."
                )
            undefined = _UNDEFINED.search(chunk)
            if undefined:
                raise SourceError(
                    f"{path.name}: is neither UTF-8 nor ISO-8859-1 nor Windows-1252 at byte "
                    f"{offset + undefined.start():,}; save it as UTF-8."
                )
            if _CONTROLS.search(chunk):
                found = WINDOWS_1252
            offset += len(chunk)
            carried = chunk[-3:]
    return found


def _first_byte_not_utf8(path: Path) -> int | None:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    offset, bad = 0, None
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if b"\0" in chunk:
                place = offset + chunk.index(b"\0")
                raise SourceError(
                    f"{path.name}: holds a NUL byte at offset {place:,}; "
                    "it is not plain text (UTF-16 without its mark?); save it as UTF-8."
                )
            if bad is None:
                bad = _bad_byte(decoder, chunk, offset)
            offset += len(chunk)
    if offset == 0:
        raise SourceError(f"{path.name}: is empty; export it again.")
    if bad is None and _bad_byte(decoder, b"", offset, final=True) is not None:
        bad = offset - 1
    return bad


def _bad_byte(
    decoder: codecs.IncrementalDecoder, chunk: bytes, offset: int, *, final: bool = False
) -> int | None:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        return offset + error.start
    return None


def write_as_utf8(path: Path, encoding: str, target: Path, *, first_line: int = 1) -> None:
    """Copy a text file from a line on into UTF-8, every line end as a line feed.

    Raises
    ------
    SourceError
        If it is not in that encoding.
    """
    with path.open(encoding=encoding) as old, target.open("w", encoding="utf-8", newline="") as new:
        try:
            for _ in range(1, first_line):
                old.readline()
            while text := old.read(_CHUNK):
                new.write(text.removeprefix("\ufeff") if not new.tell() else text)
        except UnicodeError:
            raise SourceError(
                f"{path.name}: is not {encoding} as a whole; save it as UTF-8 from where it was "
                "exported, or state its encoding in the profile (tables)."
            ) from None
