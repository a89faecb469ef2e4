"""An .xlsx file that runs nothing: how it is opened, and how texts and numbers are written."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from io import FileIO
from pathlib import Path
from traceback import clear_frames
from typing import Any

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

from segmentation.core.atomic import atomic_path, scratch_folder

CREATED = dt.datetime(2000, 1, 1)  # fixed, so that equal tables give equal bytes
# Spreadsheet programs read _x0041_ inside a text as the letter A.
_READ_AS_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


@contextmanager
def open_workbook(path: Path) -> Iterator[xlsxwriter.Workbook]:
    """A workbook that takes the name `path` when the block ends well."""
    with (
        atomic_path(path) as temporary,
        scratch_folder(path) as scratch,
        closing(ForgivingFile(temporary, "w")) as file,
    ):
        workbook = xlsxwriter.Workbook(
            file,
            {
                "constant_memory": True,
                "tmpdir": str(scratch),
                "use_zip64": True,
                "strings_to_formulas": False,
                "strings_to_numbers": False,
                "strings_to_urls": False,
            },
        )
        workbook.set_properties({"title": "Customer segmentation", "created": CREATED})
        try:
            yield workbook
            workbook.close()
        except FileCreateError as error:
            file.given_up = True
            cause = _cause(error)
            # The half-written parts stay open, and on the disk, as long as frames hold them.
            clear_frames(cause.__traceback__)
            raise cause from None
        except BaseException:
            file.given_up = True
            raise
        finally:
            for sheet in workbook.worksheets():
                for handle in (sheet.row_data_fh, sheet.fh):
                    with suppress(OSError):
                        handle.close()


def _cause(error: FileCreateError) -> BaseException:
    """The error of the operating system that XlsxWriter wraps."""
    cause = error.args[0] if error.args else None
    return cause if isinstance(cause, OSError) else error


class ForgivingFile(FileIO):
    """A file that, once given up, takes what is still flushed at it without complaint.

    A zip archive that could not be finished on a full disk tries again when it is
    garbage-collected, and would print a traceback below our one clear sentence.
    """

    given_up = False
    place = 0  # where the archive believes to be, once given up

    def write(self, data: Any) -> int:
        """All of the data, or nothing once given up."""
        view = memoryview(data).cast("B")
        written = 0
        while written < len(view) and not self.given_up:
            # The system may take a part only; what is left must not be lost.
            written += super().write(view[written:]) or 0
        self.place += len(view)
        return len(view)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a place, in appearance only once given up."""
        self.place = offset if self.given_up else super().seek(offset, whence)
        return self.place

    def tell(self) -> int:
        """Where the next write goes."""
        return self.place if self.given_up else super().tell()

    def flush(self) -> None:
        """Flush, unless given up."""
        if not self.given_up:
            super().flush()


class InertSheet(Worksheet):
    """A sheet that writes every text as itself and every number in full.

    XlsxWriter writes a text ``<r>…</r>`` as markup, a carriage return as the seven
    characters ``_x000D_`` (which only Excel turns back), and 16 of a number's 17 digits.
    """

    @staticmethod
    def _escape_control_characters(data: Any) -> Any:
        return data  # illegal ones are replaced before; the legal ones are written below

    def _xml_rich_inline_string(self, string: str, attributes: Any = ()) -> None:
        self._xml_inline_string(string, False, attributes)

    def _xml_inline_string(self, string: str, preserve: Any, attributes: Any = ()) -> None:
        # Cut into runs, `_` and `x0041_` are no escape to any reader.
        *heads, tail = _READ_AS_ESCAPE.split(string) if "_x" in string else (string,)
        texts = [text for head in heads for text in (head, "_")] + [tail]
        elements = [_text_element(text) for text in texts if text]
        if len(elements) > 1:
            elements = [f"<r>{element}</r>" for element in elements]
        attribute_text = "".join([f' {key}="{value}"' for key, value in attributes])
        self.fh.write(f'<c{attribute_text} t="inlineStr"><is>{"".join(elements)}</is></c>')

    def _xml_number_element(self, number: Any, attributes: Any = ()) -> None:
        attribute_text = "".join([f' {key}="{value}"' for key, value in attributes])
        # Seventeen digits, so that a number read back is the number of segments.parquet.
        text = f"{number:f}" if isinstance(number, Decimal) else repr(number)
        self.fh.write(f"<c{attribute_text}><v>{text}</v></c>")


def _text_element(text: str) -> str:
    if "&" in text or "<" in text or ">" in text or "\r" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        text = text.replace("\r", "&#13;")
    space = "" if text and text[0] > " " and text[-1] > " " else ' xml:space="preserve"'
    return f"<t{space}>{text}</t>"
