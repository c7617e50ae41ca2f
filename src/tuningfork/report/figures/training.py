"""Charts of the training."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tuningfork.core.figure_style import COLOURS, panels


def training_curves(cards: Sequence[dict[str, Any]]) -> Figure | None:
    """Return the loss of each network over the epochs, one panel per task; None if no card has a history.

    Parameters
    ----------
    cards : sequence of dict
        Model cards with `task`, `name` and `history` (one dict per epoch, with `train_loss` and `validation_loss`).
    """
    cards = [card for card in cards if card.get("history")]
    tasks = list(dict.fromkeys(card["task"] for card in cards))
    if not tasks:
        return None
    figure, axes = panels(len(tasks), columns=3, width=4.2, height=2.9)
    for panel, task in zip(axes, tasks, strict=True):
        members = [card for card in cards if card["task"] == task]
        for number, card in enumerate(members):
            shade = COLOURS[number % len(COLOURS)]
            label = card["name"].rsplit("/", 1)[-1]
            for key, look in (("train_loss", "--"), ("validation_loss", "-")):
                epochs = [entry["epoch"] for entry in card["history"] if entry.get(key) is not None]
                losses = [entry[key] for entry in card["history"] if entry.get(key) is not None]
                panel.plot(
                    epochs,
                    losses,
                    look,
                    color=shade,
                    marker="o",
                    ms=3,
                    lw=1.4,
                    label=f"{label}, {key.removesuffix('_loss')}",
                )
        panel.set(title=task, xlabel="epoch", ylabel="loss")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.legend(fontsize=7.5)
    return figure
