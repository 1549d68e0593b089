"""Progress lines for logs and pipes, and what another process's counts become."""

import pytest

from hashbench import progress


@pytest.fixture
def clock(monkeypatch):
    """Return a list of one number: the time in seconds, which tests set."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_count_that_has_not_begun_gives_no_line_and_no_error(clock, capsys):
    lines = progress.Lines("rows", 10, 0)
    clock[0] = 100.0
    lines.advance(0)
    assert capsys.readouterr().err == ""
    clock[0] = 200.0
    lines.advance(5)
    assert capsys.readouterr().err.startswith("rows: 5/10, ")


def test_a_log_has_rate_and_time_left_soon_and_then_now_and_then(clock, capsys):
    lines = progress.Lines("images", 1000, 0)
    for clock[0] in range(1, 31):
        lines.advance(10)
    first, second = capsys.readouterr().err.splitlines()
    assert (first, second) == ("images: 20/1000, 10/s, 98 s left", "images: 220/1000, 10/s, 78 s left")


def test_what_was_found_says_nothing_about_the_rate(clock, capsys):
    lines = progress.Lines("views", 10_000, 6_000)
    clock[0] = 10.0
    lines.advance(1000)
    assert capsys.readouterr().err == "views: 7000/10000, 100/s, 30 s left\n"


def test_counts_of_another_process_begin_with_what_it_found(clock, capsys, monkeypatch):
    sent = []
    monkeypatch.setattr(progress, "_send", lambda kind, value: sent.append(value))
    with progress.progress("views", 10_000, 6_000) as counter:
        clock[0] = 10.0
        counter.advance(1000)
    monkeypatch.setattr(progress, "_send", None)
    assert sent == [("views", 6_000, 10_000), ("views", 7_000, 10_000)]
    clock[0] = 0.0
    watch = progress.Watch()
    for clock[0], counts in zip((0.0, 10.0), sent, strict=True):
        watch.count(*counts)
    assert capsys.readouterr().err == "views: 7000/10000, 100/s, 30 s left\n"
