"""The settings of the embedded PostgreSQL follow the machine."""

from pathlib import Path

import pytest

from tabellion.server.postgres.sizing import configuration, cores, memory_bytes, settings

_GB = 1 << 30


@pytest.mark.parametrize(
    ("memory", "core_count", "expected"),
    [
        (_GB // 4, 1, {"shared_buffers": "64MB", "work_mem": "4MB", "max_parallel_workers_per_gather": "0"}),
        (4 * _GB, 2, {"shared_buffers": "819MB", "work_mem": "8MB", "max_parallel_workers_per_gather": "0"}),
        (64 * _GB, 16, {"shared_buffers": "8192MB", "work_mem": "64MB", "max_parallel_workers_per_gather": "2"}),
    ],
)
def test_memory_and_cores_set_the_sizes(memory: int, core_count: int, expected: dict[str, str]) -> None:
    found = settings(memory, core_count, free_disk=100 * _GB)

    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(("free_gb", "expected"), [(1, "512MB"), (20, "1280MB"), (500, "4096MB")])
def test_a_small_disk_gets_a_small_wal(free_gb: int, expected: str) -> None:
    assert settings(_GB, 2, free_gb * _GB)["max_wal_size"] == expected


def test_durability_is_never_sized_down() -> None:
    found = settings(_GB, 1, _GB)

    assert [found[name] for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3


def test_values_are_quoted() -> None:
    assert "log_line_prefix = 'it''s'\n" in configuration({"log_line_prefix": "it's"})


def test_the_machine_is_measured() -> None:
    assert memory_bytes() > 64 << 20
    assert cores() >= 1


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        ("0::/", {"memory.max": "536870912"}),  # a container
        ("0::/of/the/host", {"memory.max": "536870912"}),  # one that sees where it is in the host
        ("0::/system.slice/t.service", {"system.slice/t.service/memory.max": "536870912"}),  # MemoryMax= of systemd
        ("0::/system.slice/t.service", {"system.slice/t.service/memory.max": "max", "system.slice/memory.max": "536870912"}),
        ("0::/a", {"a/memory.max": "1073741824", "a/memory.high": "536870912"}),
        ("4:memory:/a\n0::/", {"memory/a/memory.limit_in_bytes": "536870912", "memory/memory.limit_in_bytes": str(1 << 63)}),
        ("7:cpu,memory:/of/the/host", {"memory/memory.limit_in_bytes": "536870912"}),
    ],
)
def test_the_memory_of_a_control_group_counts(groups: str, files: dict[str, str], tmp_path: Path) -> None:
    assert memory_bytes(_system(tmp_path, groups, files)) == 512 << 20


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        ("0::/", {"cpu.max": "100000 100000"}),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "50000 100000"}),
        ("2:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "100000", "cpu/a/cpu.cfs_period_us": "100000"}),
    ],
)
def test_the_cores_of_a_control_group_count(groups: str, files: dict[str, str], tmp_path: Path) -> None:
    assert cores(_system(tmp_path, groups, files)) == 1


def test_what_no_control_group_limits_is_the_machines(tmp_path: Path) -> None:
    unlimited = {
        "memory.max": "max",
        "cpu.max": "max 100000",
        "cpu/cpu.cfs_quota_us": "-1",
        "cpu/cpu.cfs_period_us": "100000",
    }
    system = _system(tmp_path / "unlimited", "2:cpu:/\n0::/", unlimited)
    nothing = tmp_path / "nothing"

    assert memory_bytes(system) == memory_bytes(nothing) > 512 << 20
    assert cores(system) == cores(nothing)


def _system(root: Path, groups: str, files: dict[str, str]) -> Path:
    for name, text in {
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root
