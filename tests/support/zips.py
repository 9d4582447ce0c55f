"""Zips in memory."""

import io
import zipfile
from collections.abc import Mapping


def packed(files: Mapping[str, bytes | str]) -> bytes:
    """A zip of files, by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()
