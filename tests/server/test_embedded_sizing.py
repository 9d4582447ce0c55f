"""The settings of the embedded PostgreSQL follow the machine."""

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
