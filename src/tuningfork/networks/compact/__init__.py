"""The trained structure network that comes with the package, and where else a training may start.

Without torch, so that the plan of a run can look at it.
"""

import hashlib
from pathlib import Path

from tuningfork.core.errors import ConfigurationError

CARD = Path(__file__).with_name("structure.json")
"""The card of the network that comes with the package; its weights stand beside it."""
NAMED = ("compact", "pretrained", "random")
"""Values of train.structure.start that are no path."""


def start_card(start: str) -> Path | None:
    """Return the model card from which `train.structure.start` lets the training start, if it starts from one."""
    if start == "compact":
        return CARD
    return None if start in NAMED else Path(start)


def start_digest(start: str) -> str | None:
    """Return a hash of the model card that the training starts from, which tells its weights too.

    Raises
    ------
    ConfigurationError
        There is no such file.
    """
    card = start_card(start)
    if card is None:
        return None
    try:
        return hashlib.sha256(card.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(
            f"train.structure.start: {card} cannot be read ({error.strerror}); expected {', '.join(NAMED)} or the path "
            "of the card (.json) of a structure network"
        ) from None
