"""When a frame counts as delivered."""

from stream_client.pipeline.deliveries import Deliveries


class Book:
    def __init__(self) -> None:
        self.delivered = self.not_taken = 0
        self.deliveries = Deliveries(self._deliver, self._not_taken)

    def _deliver(self) -> None:
        self.delivered += 1

    def _not_taken(self) -> None:
        self.not_taken += 1


def test_one_output_of_several_is_enough_and_counts_once() -> None:
    book = Book()
    book.deliveries.handed(0, 3)
    book.deliveries.ended(0, taken=False)
    assert (book.delivered, book.not_taken) == (0, 0)
    book.deliveries.ended(0, taken=True)
    book.deliveries.ended(0, taken=True)
    assert (book.delivered, book.not_taken) == (1, 0)


def test_a_frame_that_no_output_took_is_not_delivered() -> None:
    book = Book()
    book.deliveries.handed(0, 2)
    for _ in range(2):
        book.deliveries.ended(0, taken=False)
    assert (book.delivered, book.not_taken) == (0, 1)


def test_without_outputs_the_callbacks_have_had_it() -> None:
    book = Book()
    book.deliveries.handed(0, 0)
    assert (book.delivered, book.not_taken) == (1, 0)
