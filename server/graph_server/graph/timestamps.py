"""MediaPipe's timestamps: int64 microseconds. The lowest and highest values have a meaning (framework/timestamp.h)."""

UNSET = -(2**63)
UNSTARTED = UNSET + 1
PRE_STREAM = UNSET + 2
MIN_TIMESTAMP = UNSET + 3
MAX_TIMESTAMP = 2**63 - 4
DONE = 2**63 - 1


def next_allowed(timestamp: int) -> int:
    """The lowest timestamp that may follow ``timestamp`` in a stream."""
    return timestamp + 1 if timestamp < MAX_TIMESTAMP else DONE


def last_settled(bound: int) -> int:
    """The highest timestamp below a bound. No more packets can come up to there."""
    return MAX_TIMESTAMP if bound == DONE else bound - 1
