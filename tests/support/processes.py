"""What the system knows of other processes."""

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether a process runs. One that has ended may stay as a zombie until the first process of the machine has time for it."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
