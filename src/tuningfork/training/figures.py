"""The figures of merit of a trained network on a split of a training set."""

from typing import Any

import numpy as np
import torch
from torch import nn

from tuningfork.networks.ensemble import mixed_precision
from tuningfork.training.metrics import finite
from tuningfork.training.sets.data import TaskData
from tuningfork.training.tasks import Task


@torch.no_grad()
def figures(model: nn.Module, task: Task, data: TaskData, split: str, device: torch.device) -> dict[str, Any]:
    """Return the task's figures of merit on a split, with each stamp seen once, neither turned nor degraded.

    Parameters
    ----------
    model : Module
    task : Task
    data : TaskData
    split : str
        validation or test.
    device : torch.device

    Returns
    -------
    dict
        Empty if the split is.
    """
    rows = data.training_set.rows(split)
    if not len(rows):
        return {}
    model.eval()
    parts: list[dict[str, np.ndarray]] = []
    for batch in data.of(rows):
        with mixed_precision(device):
            output = model(batch["inputs"].to(device), batch["conditions"].to(device))
        output = output if isinstance(output, dict) else {task.name: output}
        parts.append({name: value.float().cpu().numpy() for name, value in output.items()})
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return dict(finite(task.figures(outputs, data.training_set, rows)))
