"""E-mail addresses and phone numbers as platforms compare them; what is none is None."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from segmentation.core.guarded_csv import guarded, unguarded

LONGEST = 254
"""Characters of an e-mail address (RFC 5321 with erratum 1690)."""
_EMAIL = re.compile(
    r'(?!\.)(?!.*\.\.)[^\s@"(),:;<>\\\[\]|\x00-\x1f\x7f]{1,64}(?<!\.)'
    r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W_](?:[\w-]{0,61}[^\W_])"
)
_PHONE = re.compile(r"\+?[\d\s()./‐-–\-\u00a0]+")
_E164 = re.compile(r"[1-9]\d{6,14}")


def email_of(text: str, *, plain_local_part: bool = False) -> str | None:
    """An address, trimmed and in lower case; None for what is none or a spreadsheet would run.

    Examples
    --------
    >>> email_of(" John_Smith+shop@Example.COM "), email_of("john@example"), email_of("=x@a.com")
    ('john_smith+shop@example.com', None, None)
    """
    address = unguarded(text.strip()).lower()
    if len(address) > LONGEST or not _EMAIL.fullmatch(address) or guarded(address) != address:
        return None
    if plain_local_part and not address.split("@")[0].isascii():
        return None
    return address


def phone_of(text: str, country: Sequence[object] | None = None) -> str | None:
    """The digits of a number with its country code, without ``+``; None where it is not certain.

    Parameters
    ----------
    country : code, prefix inside the country, and the number of digits where that is fixed
        What a number without ``+`` or ``00`` belongs to.

    Examples
    --------
    >>> phone_of("+49 (0)30 123456"), phone_of("030/123456", ["49", "0"]), phone_of("30123456")
    ('4930123456', '4930123456', None)
    """
    number = text.strip().lstrip("'").removeprefix("tel:").strip()
    if len(number) > 40 or not _PHONE.fullmatch(number):
        return None
    is_abroad = number.startswith(("+", "00"))
    digits = re.sub(r"\D", "", number.replace("(0)", "") if is_abroad else number)
    if number.startswith("00"):
        digits = digits[2:]
    elif not is_abroad:
        if country is None:
            return None
        code, prefix, length = str(country[0]), str(country[1]), (*country, None)[2]
        if length is None and not digits.startswith(prefix):
            return None  # its first zero is lost, or it has its code already: nobody knows
        own = digits.removeprefix(prefix)
        if length is not None and len(own) != length:
            return None
        digits = code + own
    return digits if _E164.fullmatch(digits) else None


def hashed(text: str) -> str:
    """SHA-256 in lower-case hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
