"""Adds a stream to ``streams.toml``, as a user would with an editor."""

from contextlib import closing
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.fleet.plan import plans_of, read_text
from stream_client.sinks.output_file import OutputFile, sink_errors
from stream_client.util.extras import install_command
from stream_client.util.settings import Settings


def add_stream(path: Path, name: str, given: Settings) -> None:
    """Append a table for the stream ``name`` to the file. What is there stays as it is, with its comments.

    A fleet that runs takes it within a second. Raises :class:`.ConfigurationError` for a name that is taken and
    settings that cannot work, :class:`.SinkError` for a file that cannot be written.
    """
    try:
        import tomli_w
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"a stream is added with tomli-w: {install_command('fleet')}") from error
    before = read_text(path)
    if any(plan.name == name for plan in plans_of(before, str(path))):
        raise ConfigurationError(f"there is a stream {name!r} already: choose another name", option="name")
    text = f"{before.rstrip()}\n\n{tomli_w.dumps({'streams': {name: given}})}"
    try:
        content = text.encode()
    except UnicodeError as error:
        raise ConfigurationError("a setting has characters that no file can have") from error
    plans_of(text, str(path))
    with closing(OutputFile(path, "fleet")) as file:
        with sink_errors(f"cannot write {path}", "fleet"):
            file.written_to.write_bytes(content)
        file.take_place()
