"""What can go wrong with backups; the messages are shown to the operator as they are."""


class BackupError(Exception):
    """The backup cannot be made, read or restored; the message says why and what to do."""
