"""Why a look-up has no answer."""


class NameUnknown(Exception):
    """There is no such name."""


class LookUpFailed(Exception):
    """Nobody answered in time, or nobody could say."""
