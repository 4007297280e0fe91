"""The benchmarks measure what they say, and say what they leave out."""

from __future__ import annotations

import doctest
import json
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import dashboard, fresh, growth, large, table, worker
from benchmarks.peers import PEERS


def test_a_ratio_is_taken_within_a_round() -> None:
    assert doctest.testmod(table).failed == 0
    rows = [table.Row("samples_per_s", {"ours": [10.0, 40.0, 15.0], "keras": [5.0, 10.0, 5.0]})]
    assert "3.00 (2.00 to 4.00)" in table.table(rows, "keras", frozenset({"samples_per_s"}))


def test_one_measurement_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(PEERS, "torch", ("torch_eager", "a_library_nobody_has", {}))
    result = tmp_path / "figures.json"
    options = "--workloads digits --peers kerasmagic raw-jax torch --rounds 1 --reference raw-jax"
    command.main(["steady", *options.split(), "--json", str(result)])
    shown = capsys.readouterr().out
    assert "left out: torch (a_library_nobody_has is not installed" in shown
    assert "times better than raw-jax" in shown
    (record,) = json.loads(result.read_text())["results"]
    assert set(record["figures"]) == {"kerasmagic", "raw-jax"}
    for (figures,) in record["figures"].values():
        assert figures["samples_per_s"] > 0
        # Both learned the same thing from the same data.
        assert figures["loss"] < 0.1


@pytest.mark.parametrize(
    ("measurement", "variable"),
    [("warm", "JAX_COMPILATION_CACHE_DIR"), ("again", "KERASMAGIC_COMPILE_CACHE")],
)
def test_a_second_start_has_what_the_first_left(
    measurement: str,
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    started: list[tuple[str, dict[str, str]]] = []

    def worker(
        name: str, peer: str, workload: str, pin: bool, environment: dict[str, str]
    ) -> dict[str, float]:
        started.append((name, environment))
        return {"total_s": float(len(started))}

    monkeypatch.setattr(command, "_worker", worker)
    options = "--workloads digits --peers kerasmagic --rounds 1 --reference kerasmagic"
    command.main([measurement, *options.split()])
    (name, first), (_, second) = started
    assert name == "cold"
    assert first == second
    assert variable in first
    assert "JAX_ENABLE_COMPILATION_CACHE" not in first
    # The first start is not counted.
    assert "total_s  kerasmagic  2 " in capsys.readouterr().out


def test_a_peer_that_fails_in_its_turn_says_why() -> None:
    assert doctest.testmod(worker).failed == 0
    with (
        pytest.raises(SystemExit, match=r"failed:(?s:.*)KeyError: 'no such peer'"),
        fresh.asked("benchmarks.worker", "turns", "no such peer", "digits"),
    ):
        pytest.fail("it is not ready")


def test_a_process_is_stopped_while_it_waits_for_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "answering.py").write_text(
        "import os, sys\nprint('ready', flush=True)\nfor _ in sys.stdin: print(os.getpid(), flush=True)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with fresh.asked("answering") as ask:
        for _ in range(2):
            state = ["ps", "-o", "stat=", "-p", str(ask())]
            deadline = time.monotonic() + 10
            while not subprocess.check_output(state, text=True).startswith("T"):
                assert time.monotonic() < deadline


def test_a_peer_without_the_model_is_left_out_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[str] = []

    def worker(measurement: str, peer: str, *_: object) -> dict[str, float]:
        measured.append(peer)
        return {"latency_ms": 1.0}

    monkeypatch.setattr(command, "_worker", worker)
    options = "--workloads separable --peers kerasmagic raw-jax --rounds 1 --reference kerasmagic"
    command.main(["predict", *options.split()])
    assert measured == ["kerasmagic"]
    assert "left out: raw-jax (this model is not written for them)" in capsys.readouterr().out


def test_the_cost_of_the_dashboard_is_told_from_figures() -> None:
    assert doctest.testmod(dashboard).failed == 0
    # Three updates in the busiest second, and what opens a view is none.
    messages = [(0.0, "comm_open", 10**6), *((at, "comm_msg", 1000) for at in (0.0, 0.5, 0.99, 1.2, 3.0))]
    assert dashboard.busiest_second(messages) == (3, 3000)
    assert dashboard.busiest_second([]) == (0, 0)


def test_growth_is_told_beside_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctest.testmod(growth).failed == 0
    growth.main(["batch", "--peers", "kerasmagic", "--largest", "64"])
    title, first, second = capsys.readouterr().out.strip().splitlines()
    assert title.split() == [
        "batch",
        "peer",
        "ms",
        "a",
        "step",
        "growth",
        "work",
        "first",
        "fit",
        "s",
        "trace",
        "compile",
        "peak",
        "MB",
    ]
    assert first.split()[:2] == ["16", "kerasmagic"]
    assert second.split()[4] == "4.0"


def test_large_models_are_measured_on_any_device(capsys: pytest.CaptureFixture[str]) -> None:
    large.main(["gpt", "--size", "tiny", "--rounds", "1", "--peak", "1", "--peers", "kerasmagic", "raw-jax"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    shares = {line[1]: float(line[2]) for line in lines if line[:1] == ["mfu"]}
    assert set(shares) == {"kerasmagic", "raw-jax"}
    assert all(0 < share < 1 for share in shares.values())
    # Four billion multiply-adds a picture, as its authors count: https://arxiv.org/abs/1512.03385, table 1.
    flops = large.raw_large.forward_flops("resnet50", large.SIZES["full"])
    assert flops / 2 == pytest.approx(4.0e9, rel=0.05)
