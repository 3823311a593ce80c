"""The boundary where an error meets a person: told plainly when it can be mended, a traceback when it is a bug."""

import signal

import pytest

from orca2.core.errors import InputErrors, Orca2Error, exit_on_error, raise_all


def told(main, capsys):
    with pytest.raises(SystemExit) as stopped:
        exit_on_error(main)
    return stopped.value.code, capsys.readouterr().err


def raising(error):
    def main():
        raise error

    return main


def test_a_users_error_is_told_with_where_it_is_and_the_next_step_and_no_traceback(capsys):
    assert told(raising(Orca2Error("broken", "f:3", "mend it")), capsys) == (1, "error: f:3: broken\n    -> mend it\n")


def test_success_exits_with_zero_and_says_nothing(capsys):
    assert told(lambda: 0, capsys) == (0, "")
    assert told(lambda: None, capsys) == (None, "")


def test_a_disk_that_refuses_is_told_plainly_wherever_it_happens(tiny_disk, capsys):
    code, message = told(lambda: (tiny_disk / "big").write_bytes(b"x" * (1 << 20)) and None, capsys)
    assert code == 1
    assert "File too large" in message
    assert "-> free some space" in message


@pytest.mark.parametrize("bug", [KeyError("x"), FileNotFoundError(2, "No such file", "x"), ZeroDivisionError()])
def test_a_bug_keeps_its_traceback(bug):
    with pytest.raises(type(bug)):
        exit_on_error(raising(bug))


def failing_because_of(error):
    def main():
        try:
            raise error
        finally:
            raise Orca2Error("an engine failed")

    return main


@pytest.mark.parametrize("main", [raising(KeyboardInterrupt()), failing_because_of(KeyboardInterrupt())])
def test_an_interruption_ends_with_one_line_that_says_how_to_go_on(main, capsys):
    handler = signal.getsignal(signal.SIGINT)
    try:
        code, message = told(main, capsys)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert code == 130
    assert message == "interrupted: finished answers are kept; the same command again goes on from there\n"


def test_errors_are_raised_together_flat_and_one_stays_itself():
    one, two, three = (Orca2Error(str(i)) for i in range(3))
    raise_all([])
    with pytest.raises(Orca2Error) as single:
        raise_all([one])
    assert single.value is one
    with pytest.raises(InputErrors) as all_of_them:
        raise_all([InputErrors([one, two]), three])
    assert all_of_them.value.errors == [one, two, three]
