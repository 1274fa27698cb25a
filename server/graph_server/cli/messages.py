"""Errors as the command line prints them."""

from graph_server.errors import GraphServerError


def error_line(error: GraphServerError) -> str:
    """The error's message, with the flag of its option after it."""
    return error.message if error.option is None else f"{error.message} (--{error.option})"
