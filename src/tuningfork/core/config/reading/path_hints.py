"""Why there may be no file at a path that people have written."""

import re

PATHS = {
    r"(.*/)?(https?|ftp|s3|gs):/.*": "addresses are not fetched: fetch the file, and give its path",
    r"(.*/)?~.*": "~ is not replaced by the home folder: write the whole path",
    r".*\$.*": "variables of the shell are not replaced: write the whole path",
    r"\s.*|.*\s|.*/\s.*": "the path begins or ends with a space",
    r".*\\.*": "folders are separated by /, not by \\",
}
"""Pattern of a path at which there is no file -> why that may be."""


def about_path(path: str) -> str:
    """Return why there may be no file at a path, beginning with a semicolon and a space; empty if it is not known."""
    return next((f"; {said}" for pattern, said in PATHS.items() if re.fullmatch(pattern, path, re.DOTALL)), "")
