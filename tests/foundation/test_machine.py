"""What a process may hold, by the files of control groups as they are written in both versions."""

from __future__ import annotations

import pytest

from kerasmagic.foundation.machine import container_limit, memory_limit, process_memory


@pytest.fixture
def group(tmp_path):
    own = tmp_path / "group"
    own.write_text("0::/user/session\n")
    (tmp_path / "cgroup/user/session").mkdir(parents=True)
    return tmp_path


def test_the_least_limit_on_the_way_up_counts(group):
    root = group / "cgroup"
    assert container_limit(root, group / "group") is None
    (root / "user/session/memory.max").write_text("max\n")
    (root / "user/memory.max").write_text("3000\n")
    (root / "memory.max").write_text("5000\n")
    assert container_limit(root, group / "group") == 3000
    assert memory_limit(root, group / "group") == 3000


def test_in_a_container_the_root_is_the_own_group(group):
    (group / "cgroup/memory.max").write_text("4096\n")
    assert container_limit(group / "cgroup", group / "no such file") == 4096


def test_version_1_says_no_limit_by_a_large_number(group):
    path = group / "cgroup/memory/memory.limit_in_bytes"
    path.parent.mkdir()
    path.write_text("9223372036854771712\n")
    assert container_limit(group / "cgroup", group / "group") is None
    path.write_text("1048576\n")
    assert container_limit(group / "cgroup", group / "group") == 1048576


def test_files_that_say_nothing_are_no_limit(group):
    (group / "cgroup/memory.max").write_bytes(b"")
    assert container_limit(group / "cgroup", group / "group") is None


def test_the_process_is_no_larger_than_its_peak():
    memory = process_memory()
    assert memory.now is not None
    assert memory.peak is not None
    assert 10**6 < memory.now <= memory.peak
