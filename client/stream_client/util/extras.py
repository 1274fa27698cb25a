"""How to install what an optional part of the package needs."""


def install_command(extra: str) -> str:
    """The commands that install ``extra``, as ``"screen"``: for an installed package, and in a checkout."""
    return f"pip install 'ovms-stream-client[{extra}]', or pip install -e '.[{extra}]' in a checkout"
