"""Choices by measuring, with a clock of the tests' own: none of this depends on how fast the machine is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kerasmagic.foundation import measured


class Clock:
    """Time passes when a way runs, and only then."""

    def __init__(self) -> None:
        self.now = 0.0
        self.runs: list[str] = []

    def way(self, name: str, seconds: float) -> measured.Prepare:
        def run() -> None:
            self.now += seconds
            self.runs.append(name)

        return lambda: run

    def ways(self, **seconds: float) -> dict[str, measured.Prepare]:
        return {name: self.way(name, taken) for name, taken in seconds.items()}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(time, "process_time", lambda: clock.now)
    measured.keep_choices_in(tmp_path / "choices")
    yield clock
    measured.keep_choices_in(None)


def again(folder: Path | None = None) -> None:
    """Forget what this process knows, as another process would not know it."""
    measured.keep_choices_in(folder or measured.choices_folder())


def test_the_fastest_is_taken_and_never_measured_again(clock: Clock) -> None:
    assert measured.choose("which", clock.ways(slow=0.02, fast=0.01)) == "fast"
    clock.runs.clear()
    # The times have changed, the choice has not.
    for _ in range(2):
        assert measured.choose("which", clock.ways(slow=0.001, fast=0.01)) == "fast"
        again()
    assert not clock.runs
    assert measured.choose("which else", clock.ways(slow=0.001, fast=0.01)) == "slow"


def test_the_first_stays_unless_another_is_clearly_faster(clock: Clock) -> None:
    assert measured.choose("which", clock.ways(first=0.0100, other=0.0095)) == "first"


def test_nothing_is_measured_while_off(clock: Clock, tmp_path: Path) -> None:
    measured.keep_choices_in(None)
    assert measured.choose("which", clock.ways(slow=2.0, fast=1.0)) == "slow"
    assert not clock.runs
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"question": "another", "way": "slow"}', "\x00\xff"])
def test_a_damaged_file_is_measured_anew(clock: Clock, text: str) -> None:
    measured.choose("which", clock.ways(slow=0.02, fast=0.01))
    folder = measured.choices_folder()
    assert folder is not None
    (file,) = folder.iterdir()
    file.write_text(text, encoding="latin-1")
    again()
    assert measured.choose("which", clock.ways(slow=0.02, fast=0.01)) == "fast"
    assert [path.name for path in folder.iterdir()] == [file.name]
    assert json.loads(file.read_text())["way"] == "fast"


def test_a_way_that_is_no_more_is_measured_anew(clock: Clock) -> None:
    measured.choose("which", clock.ways(slow=0.02, gone=0.01))
    again()
    assert measured.choose("which", clock.ways(slow=0.02, fast=0.01)) == "fast"


def test_of_two_processes_the_first_one_to_write_decides(clock: Clock) -> None:
    folder = measured.choices_folder()
    assert folder is not None

    def other_process() -> Callable[[], object]:
        # While this one measures, another one has found the first way to be the fastest.
        way = measured._measured(clock.ways(slow=0.01, fast=0.02))
        file = folder / f"{measured.hashlib.sha256(b'which').hexdigest()[:24]}.json"
        assert measured._keep(file, "which", way, clock.ways(slow=1, fast=1)) == "slow"
        return clock.way("slow", 0.02)()

    ways = {"slow": other_process, "fast": clock.way("fast", 0.01)}
    assert measured.choose("which", ways) == "slow"
    assert len(list(folder.iterdir())) == 1


def test_threads_get_one_answer(clock: Clock) -> None:
    ways = clock.ways(slow=0.02, fast=0.01)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: measured.choose("which", ways), range(8)))
    assert set(answers) == {"fast"}
    assert clock.runs.count("fast") == 1 + measured.ROUNDS


def test_measuring_takes_a_limited_time(clock: Clock) -> None:
    """Slow ways run few times; when no time is left the first way is taken, and that stays so."""
    limit = measured.LONGEST_IN_ALL
    for number in range(5):
        measured.choose(f"which {number}", clock.ways(slow=limit / 4, fast=limit / 8))
    assert clock.now <= 1.5 * limit
    measured.choose("last", clock.ways(slow=0.02, fast=0.01))
    again()
    assert measured.choose("last", clock.ways(slow=0.02, fast=0.01)) == "slow"


def test_a_folder_that_cannot_be_written(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    measured.keep_choices_in(tmp_path / "file" / "choices")
    assert measured.choose("which", clock.ways(slow=0.02, fast=0.01)) == "fast"
