"""Characters that no text of a configuration may have."""

import unicodedata
from typing import Any

REFUSED = {"Cc": "the control character", "Cs": "the half character", "Zl": "the line break", "Zp": "the line break"}
"""Unicode category -> what it is called."""
TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Characters that change the direction of the text after them, so that a name looks like another one."""


def require_printable(value: Any) -> None:
    """Check a text, or the texts of a list or mapping.

    Raises
    ------
    ValueError
        A text has a character that cannot be seen, such as NUL or the end of a line.
    """
    if isinstance(value, str):
        for character in value:
            kind = REFUSED.get(unicodedata.category(character))
            if ord(character) in TURNING:
                kind = "the character for the direction of writing"
            if kind:
                raise ValueError(f"{_short(value)} has {kind} U+{ord(character):04X}; leave it out")
    elif isinstance(value, dict):
        for key, part in value.items():
            require_printable(key)
            require_printable(part)
    elif isinstance(value, list):
        for part in value:
            require_printable(part)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
