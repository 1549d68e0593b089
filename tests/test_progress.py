"""Progress lines for logs and pipes."""

from hashbench import progress


def test_a_count_that_has_not_begun_gives_no_line_and_no_error(monkeypatch, capsys):
    now = iter([0.0, 100.0, 200.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    lines = progress.Lines("rows", 10)
    lines.advance(0)
    assert capsys.readouterr().err == ""
    lines.advance(5)
    assert capsys.readouterr().err.startswith("rows: 5/10, ")
