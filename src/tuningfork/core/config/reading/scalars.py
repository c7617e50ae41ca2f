"""What an unquoted word of a YAML file means.

Words are read as YAML 1.2 defines it (its core schema), which is also what editors show. YAML 1.1, which most Python
programs read, takes `010` for 8, `3:30` for 210, `no` for false and `1e-3` for text. Where the two differ about a number,
the word is refused, with what was probably meant; `yes`, `no`, dates and the like are text.
"""

import re

from tuningfork.core.config.reading.angles import probable_degrees
from tuningfork.core.errors import ConfigurationError

NULL = {"", "~", "null", "Null", "NULL"}
TRUTH = {
    word: value for value, name in ((True, "true"), (False, "false")) for word in (name, name.title(), name.upper())
}
INTEGER = re.compile(r"[-+]?[0-9]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
UNBOUNDED = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
OCTAL = re.compile(r"[-+]?0[0-9_]+")
SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-9]+)+(\.[0-9_]*)?")
MAX_DIGITS = 400
"""Longest number that is read; Python refuses to read integers of more than some thousand digits."""
Scalar = str | int | float | bool | None


def plain_value(word: str, key: str) -> Scalar:
    """Return the value of an unquoted word.

    Parameters
    ----------
    word : str
        As it stands in the file.
    key : str
        Key, or key and place in a list, that has the value; the meaning of a sexagesimal number follows from it.

    Returns
    -------
    str, int, float, bool or None

    Raises
    ------
    ConfigurationError
        The word is a number that programs read differently. The message has neither file nor key.
    """
    if word in NULL:
        return None
    if word in TRUTH:
        return TRUTH[word]
    if SEXAGESIMAL.fullmatch(word):
        raise ConfigurationError(f"{word} is read as a number in base 60 by some programs; {_angle(word, key)}")
    if len(word) > MAX_DIGITS and FLOAT.fullmatch(word):
        raise ConfigurationError(f"{word[:20]}... is a number of {len(word)} characters; the limit is {MAX_DIGITS}")
    if OCTAL.fullmatch(word):
        decimal = re.sub(r"^([-+]?)0+(?=.)", r"\1", word.replace("_", ""))
        raise ConfigurationError(
            f"{word} is read as an octal number by some programs; write {decimal}, or '{word}' in quotes if it is text"
        )
    if INTEGER.fullmatch(word):
        return int(word)
    if FLOAT.fullmatch(word):
        return float(word)
    if match := UNBOUNDED.fullmatch(word):
        return float(f"{match[1] or ''}inf") if match[2] else float("nan")
    return word


def _angle(word: str, key: str) -> str:
    degrees = probable_degrees(word, key)
    if degrees is None:
        return f"write '{word}' in quotes if it is text, or a decimal number"
    return f"write {degrees}, in degrees"
