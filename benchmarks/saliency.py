"""SmoothGrad: ours against captum's NoiseTunnel around Saliency at its best batch size.

Same network, same stamps, same number of copies, same threads, same precision, alternating in one run. captum's noise
has one standard deviation for all stamps of a call and is drawn anew; ours follows each stamp's own range and seed and
turns the copies. `scatter_...` is the noise that is left in a map of that many copies, against one of sixteen times
as many.

    python benchmarks/saliency.py [--quick] [--threads 2] [--model CARD]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import captum
import numpy as np
import torch
from captum.attr import NoiseTunnel, Saliency
from torch import Tensor, nn

from tuningfork.core.config import Configuration
from tuningfork.explain.saliency import SmoothGrad, bar_logit, smoothgrad
from tuningfork.networks.ensemble import choose_device, mixed_precision
from tuningfork.networks.inputs import prepare
from tuningfork.networks.model_file import build, load

BANDS = ["g", "r", "i"]
SIZE = 128
SAMPLES = 32
NOISE_LEVEL = 0.1
CAPTUM_BATCHES = (None, 4, 8, 16, 32)
"""Values of nt_samples_batch_size that are tried; None expands all copies at once, captum's default."""


def stamps(number: int) -> tuple[Tensor, Tensor]:
    """Return network inputs and conditions of discs with bars in noise."""
    rng = np.random.default_rng(0)
    y, x = np.indices((SIZE, SIZE)) - SIZE // 2
    images = np.empty((number, 2, len(BANDS), SIZE, SIZE), dtype=np.float32)
    for image in images:
        theta = rng.uniform(0, np.pi)
        along, across = -x * np.sin(theta) + y * np.cos(theta), x * np.cos(theta) + y * np.sin(theta)
        galaxy = 2 * np.exp(-np.hypot(x, y) / 12) + np.exp(-((along / 14) ** 2) - (across / 4) ** 2)
        image[0], image[1] = galaxy + rng.normal(0, 0.03, (len(BANDS), SIZE, SIZE)), 1 / 0.03**2
    columns = {f"psf_fwhm_{band}": np.full(number, 1.3) for band in BANDS}
    columns |= {f"sky_noise_{band}": np.full(number, 0.03) for band in BANDS}
    return prepare(images, columns | {"pixel_scale": np.full(number, 0.396)}, BANDS, "r")


def ours(
    model: nn.Module, inputs: Tensor, conditions: Tensor, half: bool, batch_size: int, rotations: int = 8
) -> Tensor:
    """Return our maps (N, S, S)."""
    how = SmoothGrad(SAMPLES, NOISE_LEVEL, batch_size, rotations, half)
    return smoothgrad([model], inputs, conditions, range(len(inputs)), how)[:, 0]


def theirs(model: nn.Module, inputs: Tensor, conditions: Tensor, half: bool, batch: int | None) -> Tensor:
    """Return captum's maps (N, S, S): one call a stamp, because its noise has one level a call."""
    maps = []
    for row in range(len(inputs)):
        condition = conditions[row : row + 1]

        def answer(x: Tensor, condition: Tensor = condition) -> Tensor:
            return bar_logit(model(x, condition.expand(len(x), -1)))

        image = inputs[row : row + 1]
        spread = NOISE_LEVEL * float(image.max() - image.min())
        with mixed_precision(inputs.device) if half else torch.autocast(inputs.device.type, enabled=False):
            found = NoiseTunnel(Saliency(answer)).attribute(
                image, nt_type="smoothgrad", nt_samples=SAMPLES, nt_samples_batch_size=batch, stdevs=spread
            )
        maps.append(found.detach().float().amax(1)[0])
    return torch.stack(maps)


def speed(function: Callable[[], Tensor], number: int, device: torch.device) -> float:
    """Return stamps per second."""
    begin = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return number / (time.perf_counter() - begin)


def scatter(maps: Tensor, limit: Tensor) -> float:
    """Return the root mean square of the noise of maps that converge to `limit`, in units of theirs."""
    return float((maps - limit).square().mean().sqrt() / limit.square().mean().sqrt())


def measure(model: nn.Module, number: int, rounds: int, half: bool, batch_size: int) -> dict[str, float]:
    """Return the median speeds and the agreement of the maps."""
    device = next(model.parameters()).device
    inputs, conditions = (part.to(device) for part in stamps(number))
    few = inputs[:2], conditions[:2]
    ours(model, *few, half, batch_size)
    tried = {batch: speed(lambda batch=batch: theirs(model, *few, half, batch), 2, device) for batch in CAPTUM_BATCHES}
    best = max(tried, key=lambda batch: tried[batch])
    print(f"captum, stamps/s by nt_samples_batch_size: { {str(k): round(v, 2) for k, v in tried.items()} }")
    fast, slow = [], []
    for _ in range(rounds):
        fast.append(speed(lambda: ours(model, inputs, conditions, half, batch_size), number, device))
        slow.append(speed(lambda: theirs(model, inputs, conditions, half, best), number, device))
    # Turning the copies changes what the mean converges to, so the noise is compared without it.
    one, other = ours(model, *few, half, batch_size, rotations=1), theirs(model, *few, half, best)
    limit = smoothgrad([model], *few, [5, 6], SmoothGrad(16 * SAMPLES, NOISE_LEVEL, batch_size, 1, half))[:, 0]
    return {
        "ours_per_second": statistics.median(fast),
        "captum_per_second": statistics.median(slow),
        "ratio_to_captum": statistics.median(a / b for a, b in zip(fast, slow, strict=True)),
        "scatter_ours": scatter(one, limit),
        "scatter_captum": scatter(other, limit),
        "captum_batch": float(best or SAMPLES),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer stamps, half precision only; within a minute")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch-size", type=int, default=Configuration().saliency.batch_size)
    parser.add_argument("--model", type=Path, help="card of a trained morphology network in the bands g, r, i")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = choose_device()
    architecture = {
        "network": "morphology",
        "bands": BANDS,
        "reference_band": "r",
        "width": Configuration().pretrain.width,
        "size": SIZE,
    }
    model = load(options.model)[0] if options.model else build(architecture).eval().requires_grad_(False)
    model = model.to(device)
    figures: dict[str, float | str | int] = {}
    for half in (True,) if options.quick else (True, False):
        number, rounds = (8, 2) if options.quick else (16, 5)
        found = measure(model, number, rounds, half, options.batch_size)
        print(
            f"{'bfloat16' if half else 'float32'}: ours {found['ours_per_second']:.2f} stamps/s, "
            f"captum {found['captum_per_second']:.2f}, ratio {found['ratio_to_captum']:.2f}; "
            f"noise of the maps {found['scatter_ours']:.3f}, {found['scatter_captum']:.3f}"
        )
        figures |= {key if half else f"{key}_float32": value for key, value in found.items()}
    figures |= {"samples": SAMPLES, "threads": options.threads, "device": device.type, "captum": captum.__version__}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
