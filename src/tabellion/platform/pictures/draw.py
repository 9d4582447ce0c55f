"""Run as `python -I -m tabellion.platform.pictures.draw`: reads a drawing and writes a picture."""

import sys
from pathlib import Path

import resvg_py

_FONT = Path(__file__).with_name("DejaVuSans.ttf")
_FAMILY = "DejaVu Sans"
_ZOOM = 2


def draw(svg: str) -> bytes:
    """The picture (PNG). Words are in DejaVu Sans, whatever fonts the machine has."""
    return resvg_py.svg_to_bytes(
        svg_string=svg, zoom=_ZOOM, skip_system_fonts=True, font_files=[str(_FONT)], font_family=_FAMILY,
        sans_serif_family=_FAMILY,
    )  # fmt: skip


if __name__ == "__main__":
    sys.stdout.buffer.write(draw(sys.stdin.buffer.read().decode()))
