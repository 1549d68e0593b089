"""Nothing that a plugin raises ends the program; a user's Ctrl-C does."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from hashbench.data.plugin import HashDataset
from hashbench.errors import InputError, PluginExit, describe_error, did_you_mean, shorten
from hashbench.guard.plugin_code import asking, plugin_code


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (SystemExit(), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit("now"), "GeneratorExit: now"),
    ],
)
def test_what_would_end_the_program_becomes_an_exception(raised, told):
    with pytest.raises(PluginExit, match=f"^{told}$") as caught, plugin_code():
        raise raised
    assert caught.value.__cause__ is raised
    assert describe_error(caught.value) == told


def test_other_exceptions_pass_unchanged():
    error = RuntimeError("first line\nsecond line")
    with pytest.raises(RuntimeError) as caught, plugin_code():
        raise error
    assert caught.value is error
    assert describe_error(error) == "RuntimeError: first line"
    assert len(describe_error(RuntimeError("x" * 10**6))) < 600


@pytest.fixture
def interruptible():
    """Handle SIGINT as Python does by itself, even where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted():
    """Get the user's Ctrl-C while something goes on."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


@pytest.mark.usefixtures("interruptible")
def test_a_users_interrupt_stays_one():
    with pytest.raises(KeyboardInterrupt), plugin_code(), plugin_code():
        interrupted()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_off_the_main_thread_an_interrupt_is_the_plugins():
    ended = []

    def work():
        try:
            with plugin_code():
                raise KeyboardInterrupt
        except PluginExit as error:
            ended.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == ["KeyboardInterrupt"]


def test_a_forked_child_ends_where_the_plugins_code_does():
    read, write = os.pipe()
    with plugin_code():
        child = os.fork()
    os.write(write, str(os.getpid()).encode())
    assert os.waitpid(child, 0) == (child, 0)
    assert os.read(read, 100) == str(os.getpid()).encode()


def test_what_a_plugin_prints_stays_out_of_tables(capsys):
    with plugin_code():
        print("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_names_in_messages():
    assert shorten("x" * 60) == "x" * 60
    assert shorten("x" * 61) == "x" * 59 + "…"
    assert did_you_mean("ITQ", ["itq", "lsh"]) == "did you mean 'itq'?"
    assert did_you_mean("zzz", ["itq", "lsh"]) == ""


class Odd(HashDataset):
    """A data set without protocols."""


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (KeyboardInterrupt(), "read failed: KeyboardInterrupt: no message"),
        (SystemExit(3), "read failed: SystemExit: 3"),
        (ValueError("one\ntwo\x1b"), r"read failed: ValueError: one two\x1b"),
        (InputError("mend it"), "mend it"),
    ],
)
@pytest.mark.usefixtures("interruptible")
def test_a_data_sets_code_has_the_same_guard(raised, told):
    def read():
        np.seterr(all="raise")
        raise raised

    with pytest.raises(InputError) as caught, asking(Odd(), "read"):
        read()
    assert str(caught.value).endswith(told)
    assert np.geterr()["over"] == "warn"


@pytest.mark.usefixtures("interruptible")
def test_a_users_interrupt_passes_a_data_sets_code():
    with pytest.raises(KeyboardInterrupt), asking(Odd(), "read"):
        interrupted()


def test_an_error_of_hashbench_in_ranking_is_not_a_quantizers(monkeypatch, tmp_path, cli):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).standard_normal((300, 16), dtype=np.float32))

    def broken(*_):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("hashbench.runs.measures.recalls", broken)
    options = ("--dataset", "vectors", "--data-dir", tmp_path / "v.npy", "--methods", "int8", "--out", tmp_path / "out")
    done = cli("run", *options)
    assert done.returncode == 1
    assert "unexpected ZeroDivisionError: ours" in done.stderr
