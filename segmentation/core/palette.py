"""Colours of segments and of everything else that is drawn, and how well they can be read."""

from __future__ import annotations

# Every colour has a contrast of at least 3:1 on white, also for colour-blind readers.
PALETTE = ("#12436D", "#28A197", "#801650", "#F46A25", "#3D3D3D", "#8E6CC4")


MARKERS = ("o", "s", "^", "D", "P", "X")


INK = "#1F1F1F"


QUIET = "#595959"


PLAIN = "#56789A"  # what is about no segment: no colour of the palette, which segments have


CONTEXT = "#8A8A8A"  # what is drawn only to compare with


RULE_LINE = "#C9C9C9"


ACCENT = INK  # limits, frames, unusual customers: of no segment either
PAPER = "#FFFFFF"


def relative_luminance(colour: str | tuple[float, ...]) -> float:
    """Brightness of a colour as the eye weighs it, 0 black to 1 white (WCAG 2.2)."""
    from matplotlib.colors import to_rgb  # slow to load, and rarely needed

    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in to_rgb(colour if isinstance(colour, str) else (colour[0], colour[1], colour[2]))
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast_ratio(
    colour: str | tuple[float, ...], background: str | tuple[float, ...] = PAPER
) -> float:
    """Contrast of two colours, 1 to 21; marks need 3, text 4.5 (WCAG 2.2).

    Examples
    --------
    >>> contrast_ratio("#000000")
    21.0
    """
    pair = sorted((relative_luminance(colour), relative_luminance(background)))
    return (pair[1] + 0.05) / (pair[0] + 0.05)


def text_colour_on(background: str | tuple[float, ...]) -> str:
    """The readable one of black and white text on a background: 4.5:1 or better."""
    return max(("#000000", PAPER), key=lambda text: contrast_ratio(text, background))


def in_the_dark(colour: str) -> str:
    """The colour that ``invert(0.92) hue-rotate(180deg)`` makes of one: as charts show it at night.

    So cards and bars outside charts have the very colour of the charts. Matrix of the hue:
    Filter Effects Module Level 1, feColorMatrix.

    Examples
    --------
    >>> in_the_dark("#FFFFFF"), in_the_dark("#000000")
    ('#141414', '#ebebeb')
    """
    from matplotlib.colors import to_hex, to_rgb  # slow to load, and rarely needed

    red, green, blue = (0.92 - 0.84 * part for part in to_rgb(colour))

    def held(part: float) -> float:
        return min(max(part, 0.0), 1.0)

    turned = (
        held(-0.574 * red + 1.430 * green + 0.144 * blue),
        held(0.426 * red + 0.430 * green + 0.144 * blue),
        held(0.426 * red + 1.430 * green - 0.856 * blue),
    )
    return str(to_hex(turned))
