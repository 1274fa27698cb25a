"""Threads are joined, and left behind when they are stuck."""

import threading

from stream_client.util.owned_thread import OwnedThread, left_behind


def test_a_thread_is_joined_for_as_long_as_it_works() -> None:
    go = threading.Event()
    done: list[int] = []

    def work() -> None:
        go.wait()
        done.append(1)

    thread = OwnedThread(work, "worker", limit=0.0)
    thread.start()
    threading.Timer(0.1, go.set).start()
    thread.join()
    assert done == [1]
    assert not thread.overdue


def test_a_thread_that_is_stuck_is_left_behind_once_it_shall_end() -> None:
    go = threading.Event()
    thread = OwnedThread(go.wait, "stuck", limit=0.05)
    thread.start()
    thread.expect_end()
    thread.join()
    assert thread.overdue
    assert "stuck" in left_behind()
    go.set()
    threading.Thread.join(thread, 10)
    assert not thread.overdue


def test_a_join_that_waits_hears_of_the_end_that_is_expected() -> None:
    go = threading.Event()
    thread = OwnedThread(go.wait, "stuck", limit=0.05)
    thread.start()
    threading.Timer(0.1, thread.expect_end).start()
    thread.join()
    assert thread.overdue
    go.set()


def test_a_thread_that_ends_in_time_is_not_overdue() -> None:
    thread = OwnedThread(lambda: None, "quick", limit=0.0)
    thread.start()
    thread.join()
    thread.expect_end()
    assert not thread.overdue


def test_a_thread_that_never_began_is_not_waited_for() -> None:
    OwnedThread(lambda: None, "idle").join()
