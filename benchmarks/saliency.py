"""SmoothGrad: ours against captum's NoiseTunnel around Saliency at its best batch size.

Same network, same stamps, same number of copies, same threads, same precision, alternating in one run; ours never stops
early here. captum's noise has one standard deviation for all stamps of a call and is drawn anew; ours follows each
stamp's own range and seed, comes in pairs of opposite sign, and the copies are turned.

`ratio_to_captum` is of the times for the same number of copies. `scatter_...` is the noise that is left in a map of
that many copies, against one of sixteen times as many; `ratio_same_scatter` is of the times for maps of the same noise,
which falls as one over the root of the number of copies. `peak_memory_...` is what a process of its own grows by.

`ratio_to_inference_...` compares our inference networks (tuningfork.networks.inference) with other ways to run the same
network in the same SmoothGrad: as it is trained (plain), through torch.compile, and traced through torch.jit.freeze.
It is the time of that way divided by ours; `..._process_time` is for machines that do other work. `first_call_...` are the seconds until the first maps, compilation included.
A way that fails is named in `failed_...` with its reason; torch.compile needs a C++ compiler.

    python benchmarks/saliency.py [--quick] [--threads 2] [--model CARD]
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import captum
import numpy as np
import torch
from captum.attr import NoiseTunnel, Saliency
from torch import Tensor, nn

from tuningfork.core.config import Configuration
from tuningfork.explain.copies import Attribution
from tuningfork.explain.saliency import attribute, bar_logit
from tuningfork.networks.ensemble import choose_device, mixed_precision
from tuningfork.networks.inputs import prepare
from tuningfork.networks.model_file import build, load

SIZE = 128
SAMPLES = 32
NOISE_LEVEL = 0.1
CAPTUM_BATCHES = (None, 4, 8, 16, 32)
"""Values of nt_samples_batch_size that are tried; None expands all copies at once, captum's default."""
BATCH_SIZE = {"cpu": Configuration().saliency.batch_size, "cuda": 1024}


def stamps(number: int, bands: list[str]) -> tuple[Tensor, Tensor]:
    """Return network inputs and conditions of discs with bars in noise."""
    rng = np.random.default_rng(0)
    y, x = np.indices((SIZE, SIZE)) - SIZE // 2
    images = np.empty((number, 2, len(bands), SIZE, SIZE), dtype=np.float32)
    for image in images:
        theta = rng.uniform(0, np.pi)
        along, across = -x * np.sin(theta) + y * np.cos(theta), x * np.cos(theta) + y * np.sin(theta)
        galaxy = 2 * np.exp(-np.hypot(x, y) / 12) + np.exp(-((along / 14) ** 2) - (across / 4) ** 2)
        image[0], image[1] = galaxy + rng.normal(0, 0.03, (len(bands), SIZE, SIZE)), 1 / 0.03**2
    columns = {f"psf_fwhm_{band}": np.full(number, 1.3) for band in bands}
    columns |= {f"sky_noise_{band}": np.full(number, 0.03) for band in bands}
    columns |= {"pixel_scale": np.full(number, 0.396), "psf_beta": np.full(number, 3.0)}
    return prepare(images, columns, bands, bands[-1])


def network(card: Path | None) -> tuple[nn.Module, list[str]]:
    """Return a network that answers, and its bands: of the default width with random weights if there is no card."""
    if card:
        model, facts = load(card, "morphology")
        return model.eval().requires_grad_(False), list(facts["input"]["bands"])
    bands = ["g", "r", "i"]
    architecture = {"network": "morphology", "bands": bands, "reference_band": "r", "size": SIZE}
    torch.manual_seed(0)
    model = build(architecture | {"width": Configuration().train.morphology.width})
    return model.eval().requires_grad_(False), bands


def ours(
    model: nn.Module, inputs: Tensor, conditions: Tensor, half: bool, rotations: int = 8, samples: int = SAMPLES
) -> Tensor:
    """Return our maps (N, S, S)."""
    how = Attribution(
        samples, NOISE_LEVEL, BATCH_SIZE[inputs.device.type], rotations=rotations, half_precision=half, tolerance=0.0
    )
    return attribute([model], inputs, conditions, range(len(inputs)), how)[0][:, 0]


def theirs(
    model: nn.Module, inputs: Tensor, conditions: Tensor, half: bool, batch: int | None, samples: int = SAMPLES
) -> Tensor:
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
                image, nt_type="smoothgrad", nt_samples=samples, nt_samples_batch_size=batch, stdevs=spread
            )
        maps.append(found.detach().float().amax(1)[0])
    return torch.stack(maps)


class Opaque(nn.Module):
    """A network whose parts cannot be replaced by inference networks.

    Parameters
    ----------
    function : callable
        Called as the network would be.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], dict[str, Tensor]]) -> None:
        super().__init__()
        self.hidden = (function,)

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        """Call the function."""
        return self.hidden[0](inputs, conditions)


def compiled(model: nn.Module, inputs: Tensor, conditions: Tensor, half: bool) -> nn.Module:
    """Return the network through torch.compile."""
    return Opaque(torch.compile(model))


def jit_frozen(model: nn.Module, inputs: Tensor, conditions: Tensor, half: bool) -> nn.Module:
    """Return the network traced in the precision of the passes, through torch.jit.freeze."""
    leaf = inputs[:1].contiguous(memory_format=torch.channels_last).requires_grad_()
    with mixed_precision(inputs.device) if half else torch.autocast(inputs.device.type, enabled=False):
        traced = torch.jit.trace(model, (leaf, conditions[:1]), strict=False, check_trace=False)
    return Opaque(torch.jit.freeze(traced))


WAYS: dict[str, Callable[[nn.Module, Tensor, Tensor, bool], nn.Module]] = {
    "plain": lambda model, inputs, conditions, half: Opaque(model),
    "compile": compiled,
    "jit_freeze": jit_frozen,
}
"""Other ways to run a network than through our inference networks."""


def compare_ways(model: nn.Module, bands: list[str], number: int, rounds: int, half: bool) -> dict[str, float | str]:
    """Return the times of other ways to run the network in units of that of our inference networks."""
    device = next(model.parameters()).device
    inputs, conditions = (part.to(device) for part in stamps(number, bands))
    expected = ours(model, inputs, conditions, half)
    figures: dict[str, float | str] = {}
    runnable: dict[str, nn.Module] = {}
    for name, make in WAYS.items():
        begin = time.perf_counter()
        try:
            runnable[name] = make(model, inputs, conditions, half)
            maps = ours(runnable[name], inputs, conditions, half)
        except Exception as error:
            # The reason is part of the result: a missing compiler, or a network without derivatives.
            figures[f"failed_{name}"] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
            runnable.pop(name, None)
            continue
        figures[f"first_call_{name}"] = round(time.perf_counter() - begin, 1)
        figures[f"difference_{name}"] = round(scatter(maps, expected), 4)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ("inference", *runnable)}
    for _ in range(rounds):
        for name, network_of_way in {"inference": model, **runnable}.items():
            times[name].append(seconds(partial(ours, network_of_way, inputs, conditions, half), device))
    for clock, suffix in enumerate(("", "_process_time")):
        for name in runnable:
            ratios = [slow[clock] / fast[clock] for slow, fast in zip(times[name], times["inference"], strict=True)]
            figures[f"ratio_to_inference_{name}{suffix}"] = round(statistics.median(ratios), 3)
        milliseconds = 1e3 * statistics.median(entry[clock] for entry in times["inference"]) / number
        figures[f"inference_ms_a_stamp{suffix}"] = round(milliseconds, 1)
    return figures


def seconds(function: Callable[[], Tensor], device: torch.device) -> tuple[float, float]:
    """Return the time that the clock shows and that the process used."""
    begin, used = time.perf_counter(), time.process_time()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin, time.process_time() - used


def scatter(maps: Tensor, limit: Tensor) -> float:
    """Return the root mean square of the noise of maps that converge to `limit`, in units of theirs."""
    return float((maps - limit).square().mean().sqrt() / limit.square().mean().sqrt())


def measure(model: nn.Module, bands: list[str], number: int, rounds: int, half: bool) -> dict[str, float]:
    """Return the median speeds and the noise of the maps."""
    device = next(model.parameters()).device
    inputs, conditions = (part.to(device) for part in stamps(number, bands))
    few = inputs[:2], conditions[:2]
    ours(model, *few, half)
    theirs(model, *few, half, None)
    tried = {}
    for batch in CAPTUM_BATCHES:
        attempts = [seconds(partial(theirs, model, *few, half, batch), device)[0] for _ in range(2)]
        tried[batch] = min(attempts) / len(few[0])
    best = min(tried, key=lambda batch: tried[batch])
    print(f"captum, ms a stamp by nt_samples_batch_size: { {str(k): round(1e3 * v) for k, v in tried.items()} }")
    pairs = [
        (
            seconds(partial(ours, model, inputs, conditions, half), device),
            seconds(partial(theirs, model, inputs, conditions, half, best), device),
        )
        for _ in range(rounds)
    ]
    # Turning the copies changes what the mean converges to, so the noise is compared without it.
    limit = ours(model, inputs[:4], conditions[:4], half, 1, 16 * SAMPLES)
    noise = scatter(ours(model, inputs[:4], conditions[:4], half, 1), limit)
    captum_noise = scatter(theirs(model, inputs[:4], conditions[:4], half, best), limit)
    ratio = statistics.median(slow[0] / fast[0] for fast, slow in pairs)
    return {
        "ours_per_second": number / statistics.median(fast[0] for fast, _ in pairs),
        "captum_per_second": number / statistics.median(slow[0] for _, slow in pairs),
        "ratio_to_captum": ratio,
        "ratio_of_process_times": statistics.median(slow[1] / fast[1] for fast, slow in pairs),
        "scatter_ours": noise,
        "scatter_captum": captum_noise,
        "ratio_same_scatter": ratio * (captum_noise / noise) ** 2,
        "captum_batch": float(best or SAMPLES),
    }


def resident() -> float:
    """Return the memory that the process holds (MB)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def grown(who: str, samples: int, threads: int, card: Path | None, answers: "multiprocessing.Queue[float]") -> None:
    """Put into a queue by how much this process grows at most while maps of a few stamps are made (MB)."""
    torch.set_num_threads(threads)
    device = choose_device()
    model, bands = network(card)
    model = model.to(device)
    inputs, conditions = (part.to(device) for part in stamps(8, bands))

    def work(samples: int) -> None:
        if who == "ours":
            ours(model, inputs, conditions, True, samples=samples)
        else:
            theirs(model, inputs[:1], conditions[:1], True, None, samples)

    if device.type == "cuda":
        held = torch.cuda.memory_allocated()
        work(samples)
        answers.put((torch.cuda.max_memory_allocated() - held) / 1e6)
        return
    before, found, done = resident(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            found.append(resident() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work(samples)
    done.set()
    watcher.join()
    answers.put(max(found))


def peak_memory(threads: int, card: Path | None) -> dict[str, float]:
    """Return by how much processes grow that make maps of 32 and 256 copies."""
    context = multiprocessing.get_context("spawn")
    found: dict[str, float] = {}
    for who in ("ours", "captum"):
        for samples in (32, 256):
            answers: multiprocessing.Queue[float] = context.Queue()
            process = context.Process(target=grown, args=(who, samples, threads, card, answers))
            process.start()
            found[f"peak_memory_{who}_{samples}_mb"] = round(answers.get(timeout=600), 1)
            process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer stamps, half precision only; within a minute")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--model", type=Path, help="card of a trained morphology network")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = choose_device()
    model, bands = network(options.model)
    model = model.to(device)
    figures: dict[str, float | str | int] = {}
    number, rounds = (8, 2) if options.quick else (16, 5)
    if device.type == "cuda":
        number = BATCH_SIZE["cuda"] // 8
    for half in (True,) if options.quick else (True, False):
        found = measure(model, bands, number, rounds, half)
        print(
            f"{'bfloat16' if half else 'float32'}: ours {found['ours_per_second']:.2f} stamps/s, "
            f"captum {found['captum_per_second']:.2f}, ratio {found['ratio_to_captum']:.2f}; "
            f"noise of the maps {found['scatter_ours']:.3f}, {found['scatter_captum']:.3f}"
        )
        ways = compare_ways(model, bands, number, max(rounds, 3), half)
        print(f"other ways to run the network: {ways}")
        figures |= {key if half else f"{key}_float32": value for key, value in (found | ways).items()}
    figures |= peak_memory(options.threads, options.model)
    figures |= {"samples": SAMPLES, "threads": options.threads, "device": device.type, "captum": captum.__version__}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
