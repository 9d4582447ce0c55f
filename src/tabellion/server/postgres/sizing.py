"""The settings of the embedded PostgreSQL, sized to the machine (or to the container's share of it)."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_MB = 1024 * 1024
_CGROUP = Path("/sys/fs/cgroup")
# API processes, the worker and command-line verbs of one machine; a connection costs little while it idles.
MAX_CONNECTIONS = 200
# From here on a scan may use a second core without starving the API.
_CORES_FOR_PARALLEL_SCANS = 4


def memory_bytes() -> int:
    """RAM that this process may use: the machine's, or less where a control group says so."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _first_word(_CGROUP / "memory.max")
    return min(physical, int(limit)) if limit.isdigit() else physical


def cores() -> int:
    """Processor cores that this process may use, at least 1."""
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else (os.cpu_count() or 1)
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return available
    return max(1, min(available, int(quota) // int(period))) if quota.isdigit() else available


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


def _first_word(path: Path) -> str:
    try:
        return path.read_text().split()[0]
    except (OSError, IndexError):
        return ""
