"""An import may be told to stop at any moment."""

from __future__ import annotations

import sys
import threading
import time

from altegio_provider.imports.engine.stop_flag import StopFlag


def is_stopped_at_line(number: int) -> bool:
    """Wait, and set it as a signal handler does, in the same thread, before that line of what runs; whether it came."""
    stop = StopFlag()
    lines = 0

    def trace(_frame, event, _arg):
        nonlocal lines
        lines += event == "line"
        if lines == number and not stop.is_set():
            sys.settrace(None)
            stop.set()
        return trace

    sys.settrace(trace)
    try:
        stop.wait(0.001)
    finally:
        sys.settrace(None)
    return lines >= number


def test_a_signal_may_come_at_any_point_of_a_wait():
    came = []

    def at_each_line():
        came.append(1)
        while is_stopped_at_line(came[-1]):
            came.append(came[-1] + 1)
        came.append("end")

    # Where setting it would wait for its own thread, that thread never ends.
    thread = threading.Thread(target=at_each_line, daemon=True)
    thread.start()
    thread.join(10)
    assert came[-1] == "end"
    assert len(came) > 3


def test_whoever_waits_is_woken():
    stop = StopFlag()
    assert not stop.wait(0.01)
    timer = threading.Timer(0.05, stop.set)
    began = time.monotonic()
    timer.start()
    assert stop.wait(20)
    assert time.monotonic() - began < 5
    assert stop.wait(20)
