"""Where an error came from, as logs tell it: places in the code, and never a value."""

import traceback


def trace_of(error: BaseException) -> list[str]:
    """File, line and function of each call, the outermost first."""
    return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
