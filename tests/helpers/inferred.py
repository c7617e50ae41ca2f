"""What the networks say about the small stores and training parts of the other helpers, on disk."""

from pathlib import Path
from typing import Any

from helpers.small_networks import parameters
from helpers.small_sets import stamp_files
from tuningfork.calibrate.held_out import HeldOutAnswers
from tuningfork.infer.shard import infer_held_out, infer_held_out_structure, infer_morphology, infer_structure


def morphology_answers(stamps: Path, models: list[Path], **infer: Any) -> tuple[Path, Path]:
    """Ask morphology networks about a shard and return table and masks, which stand beside its stamps."""
    table = stamps.with_name(f"{stamps.stem}-answers.parquet")
    settings = {"rotations": 2, "bar_rotations": 2} | infer
    infer_morphology(
        parameters("infer_morphology", infer=settings),
        stamps=stamp_files(stamps),
        models=models,
        output=table,
        masks=table.with_suffix(".npy"),
    )
    return table, table.with_suffix(".npy")


def structure_answers(stamps: Path, models: list[Path], **infer: Any) -> Path:
    """Ask structure networks about a shard and return the table, which stands beside its stamps."""
    table = stamps.with_name(f"{stamps.stem}-profiles.parquet")
    settings = {"rotations": 2} | infer
    infer_structure(
        parameters("infer_structure", infer=settings), stamps=stamp_files(stamps), models=models, output=table
    )
    return table


def held_out_answers(parts: list[Path], models: list[Path], **infer: Any) -> HeldOutAnswers:
    """Ask morphology networks about the held-out galaxies of training parts."""
    table = parts[0].with_name(f"{parts[0].stem}-held-out.parquet")
    settings = {"rotations": 2, "bar_rotations": 2} | infer
    infer_held_out(
        parameters("infer_held_out", infer=settings),
        training=[stamp_files(part) for part in parts],
        models=models,
        output=table,
        masks=table.with_suffix(".npy"),
    )
    return HeldOutAnswers(table, table.with_suffix(".npy"))


def held_out_profiles(parts: list[Path], models: list[Path], **infer: Any) -> Path:
    """Ask structure networks about the held-out galaxies of training parts."""
    table = parts[0].with_name(f"{parts[0].stem}-held-out-profiles.parquet")
    infer_held_out_structure(
        parameters("infer_held_out_structure", infer={"rotations": 2} | infer),
        training=[stamp_files(part) for part in parts],
        models=models,
        output=table,
    )
    return table
