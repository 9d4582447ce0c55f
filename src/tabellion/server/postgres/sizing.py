"""The settings of the embedded PostgreSQL, sized to the machine (or to the share that a container or service has of it)."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

_MB = 1024 * 1024
# API processes, the worker and command-line verbs of one machine; a connection costs little while it idles.
MAX_CONNECTIONS = 200
# Version 2 of control groups, and 1. `high` slows down whoever takes more, and most of all who cannot do with less.
_MEMORY_LIMITS = ("memory.max", "memory.high", "memory.limit_in_bytes")
# Microseconds that may be used, of so many.
_CPU_SHARE = ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us")
_QUOTA_AND_PERIOD = 2
# From here on a scan may use a second core without starving the API.
_CORES_FOR_PARALLEL_SCANS = 4


def memory_bytes(system: Path = Path("/")) -> int:
    """RAM that this process may use: the machine's, or less where a control group or one above it says so."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    paths = [group / name for group in _groups(system, "memory") for name in _MEMORY_LIMITS]
    return min([physical, *(limit for path in paths for limit in _numbers(path))])


def cores(system: Path = Path("/")) -> int:
    """Processor cores that this process may use, at least 1."""
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else (os.cpu_count() or 1)
    for group in _groups(system, "cpu"):
        share = [number for name in _CPU_SHARE for number in _numbers(group / name)]
        if len(share) == _QUOTA_AND_PERIOD and share[0] > 0:
            available = min(available, share[0] // share[1])
    return max(1, available)


def settings(memory: int, core_count: int, free_disk: int) -> dict[str, str]:
    """Values for postgresql.conf from bytes of RAM, cores and bytes free on the data directory's disk."""
    parallel = min(2, core_count // 2) if core_count >= _CORES_FOR_PARALLEL_SCANS else 0
    values = {
        # Reached through the cluster's own directory only; "." is the data directory itself, however long its path.
        "listen_addresses": "",
        "unix_socket_directories": ".",
        "unix_socket_permissions": "0700",
        "max_connections": str(MAX_CONNECTIONS),
        "max_locks_per_transaction": "256",  # a licence's schema is dropped in one transaction
        # What was answered with success is on the disk.
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "wal_level": "replica",  # so that pg_basebackup and WAL archiving work without a restart
        "shared_buffers": _megabytes(memory // 5, 64, 8192),
        "effective_cache_size": _megabytes(memory // 2, 128, 1 << 20),
        "work_mem": _megabytes(memory // 512, 4, 64),
        "maintenance_work_mem": _megabytes(memory // 32, 64, 1024),
        "huge_pages": "off",  # half-supported ones kill containers with SIGBUS
        "max_wal_size": _megabytes(free_disk // 16, 512, 4096),
        "min_wal_size": "256MB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",  # compiling costs more than these statements run
        "max_parallel_workers_per_gather": str(parallel),
        "max_parallel_maintenance_workers": str(max(1, parallel)),
        "max_parallel_workers": str(max(2, core_count)),
        "autovacuum_naptime": "20s",
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_vacuum_insert_scale_factor": "0.1",
        "autovacuum_analyze_scale_factor": "0.02",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "on",
        "log_directory": "log",
        "log_filename": "postgresql-%Y%m%d-%H%M%S.log",
        "log_rotation_size": "10MB",
        "log_rotation_age": "0",
        "log_checkpoints": "off",
        "log_min_duration_statement": "-1",
        # No personal data in the log: neither statements nor the values in an error's details.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_line_prefix": "%m [%p] %q%a ",
    }
    if sys.platform == "linux":
        values["client_connection_check_interval"] = "10s"
    return values


def configuration(values: Mapping[str, str]) -> str:
    """The text of a configuration file."""
    head = "# Written by Tabellion at each start; changes made here are lost. Use ALTER SYSTEM for settings of your own.\n"
    return head + "".join(f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in values.items())


def _megabytes(size: int, least: int, most: int) -> str:
    return f"{min(most, max(least, size // _MB))}MB"


def _groups(system: Path, controller: str) -> Iterator[Path]:
    """The control groups whose limits count for this process, up to the root.

    See https://docs.kernel.org/admin-guide/cgroup-v2.html; version 1 has a hierarchy for each controller. In a container the
    path may be the host's and not be there: what the root shows is then the container's own.
    """
    try:
        lines = (system / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = system / "sys/fs/cgroup" / (controller if controllers else "")
        group = root / path.lstrip("/")
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(root))


def _numbers(path: Path) -> list[int]:
    """The numbers in a file of the kernel; none where there is no file, or it says "max"."""
    try:
        words = path.read_text().split()
        return [int(word) for word in words]
    except (OSError, ValueError):
        return []
