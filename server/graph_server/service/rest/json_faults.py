"""The fault in a body that is no JSON, as OVMS's library names it (RapidJSON, include/rapidjson/error/en.h)."""

from json import JSONDecodeError

_TEXTS = {
    "Extra data": "The document root must not be followed by other values.",
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
    "Invalid control character at": "Invalid encoding in string.",
}
_LITERALS = {"t": "true", "f": "false", "n": "null"}


def fault_of(error: JSONDecodeError) -> str:
    """What is wrong and at which byte, as ``Error: Invalid value. Offset: 5``."""
    text, position = _TEXTS.get(error.msg.partition(": ")[0], "Invalid value."), error.pos
    if not error.doc[:position].strip() and position >= len(error.doc.rstrip()):
        text = "The document is empty."
    elif error.msg == "Expecting ',' delimiter":
        inside = "object" if _innermost(error.doc[:position]) == "{" else "array"
        text = f"Missing a comma or {'}' if inside == 'object' else ']'} after an {inside} {_MEMBERS[inside]}."
    elif error.msg == "Expecting value":
        position += _read_of_literal(error.doc[position:])
    return f"Error: {text} Offset: {len(error.doc[:position].encode())}"


_MEMBERS = {"object": "member", "array": "element"}


def _innermost(text: str) -> str:
    """The bracket that is open at the end of ``text``."""
    opened, in_string, escaped = [""], False, False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "{[":
            opened.append(character)
        elif character in "}]" and len(opened) > 1:
            opened.pop()
    return opened[-1]


def _read_of_literal(text: str) -> int:
    """How many characters of ``true``, ``false`` or ``null`` are right before one is wrong."""
    literal = _LITERALS.get(text[:1], "")
    return next((index for index, wanted in enumerate(literal) if text[index : index + 1] != wanted), len(literal))
