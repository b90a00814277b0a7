"""What the user sees."""

import io

from rich.console import Console

from foveate.training import Reporter, train


def test_in_a_pipe_each_run_is_one_line():
    text = io.StringIO()
    with Reporter(4, 2, console=Console(file=text, width=100)) as reporter:
        reporter.begin("das seed 0", 1, 2)
        reporter.epoch({"epoch": 2.0, "val_top1": 0.4321})
        reporter.end()
        reporter.begin("se seed 0", 2, 2)
        reporter.end("finished before")
    assert text.getvalue().splitlines() == [
        "run 1 of 2, das seed 0: val top-1 43.2 %",
        "run 2 of 2, se seed 0: finished before",
    ]


def test_on_a_terminal_one_bar_shows_run_epoch_and_accuracy(recipe, tmp_path):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=140, color_system=None)
    with Reporter(3, 1, console=console) as reporter:
        reporter.begin("tiny", 1, 3)
        run = train(recipe, tmp_path / "run", progress=reporter)
        shown = [reporter._bar.tasks[0].description, reporter._bar.tasks[0].completed]
        reporter.end()
        assert reporter._bar.finished
    assert shown[0] == f"tiny, epoch 3/3, val top-1 {100 * run.result['top1']:.1f} %"
    assert 0 < shown[1] <= 3
    assert "tiny, epoch" in text.getvalue()


def test_disabled_it_shows_nothing():
    text = io.StringIO()
    with Reporter(1, 2, enabled=False, console=Console(file=text)) as reporter:
        reporter.begin("a", 1, 1)
        reporter.end()
    assert text.getvalue() == ""
