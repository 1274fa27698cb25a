"""Reports of a receiver that come, and that stop."""

from stream_client.webrtc.reports import ReceiverReports


def test_reports_are_overdue_after_twice_their_longest_gap() -> None:
    reports = ReceiverReports()
    for number, at in enumerate((10.0, 11.5, 12.5)):
        assert not reports.overdue(at)
        reports.seen(number, at)
    assert not reports.overdue(15.4)
    reports.seen(2, 15.4)  # the same one again
    assert reports.overdue(15.6)
    reports.seen(3, 15.7)
    assert not reports.overdue(18.0)


def test_a_receiver_that_reports_seldom_or_never_is_not_given_up() -> None:
    silent, seldom = ReceiverReports(), ReceiverReports()
    assert not silent.overdue(1e9)
    for number in range(20):
        assert not seldom.overdue(7.5 * number)
        seldom.seen(number, 7.5 * number)


def test_one_report_and_then_none_is_the_end() -> None:
    reports = ReceiverReports()
    reports.seen(0, 1.0)
    assert not reports.overdue(8.9)
    assert reports.overdue(9.1)
