"""What divides the columns of a text table."""


def delimiter_of(first_line: str) -> str:
    """The most frequent of comma, semicolon and tab: spreadsheets of many countries divide by semicolons."""
    return max(",;\t", key=first_line.count)
