"""What to say about texts that are no numbers."""

import re

NUMBERS = {
    r"[+-]?\d+,\d+": "write a decimal point instead of the comma",
    r"[+-]?\d{1,3}(,\d{3})+\.\d+": "write it without commas",
    r"[−–—‒﹣－].*": "write a hyphen (-) as the minus sign",
    r"[+-]?\d*\.?\d+[dD][+-]?\d+": "write E instead of D before the exponent",
}
"""Pattern of a text that is no number -> what to do."""
ANGLES = {
    r"[+-]?\d{1,3}\s*[:hd°\s]\s*\d{1,2}(\.\d*)?\s*[m'′]?": "write seconds after the minutes, such as 41:16:12",
    r"[+-]?\d+(\.\d*)?\s*[NSEW]": "write a sign instead of the letter",
}
"""The same, of texts that are no angle."""


def about_number(text: str, angle: bool = False) -> str:
    """Return what to do about a text that is no number, beginning with a colon and a space; empty if it is not known."""
    patterns = NUMBERS | ANGLES if angle else NUMBERS
    return next((f": {said}" for pattern, said in patterns.items() if re.fullmatch(pattern, text.strip())), "")
