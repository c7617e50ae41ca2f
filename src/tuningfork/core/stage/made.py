"""By which parameters the results of a stage were made: what the lineages in the files themselves say."""

from collections.abc import Callable, Iterator
from pathlib import Path
from string import Formatter

from tuningfork.core.errors import InputError
from tuningfork.core.stage import paths
from tuningfork.core.tables import lineage_of

OUTPUTS: dict[str, tuple[str, ...]] = {
    "sources": (paths.SOURCES,),
    "tiles": (paths.TILES,),
    "stamps": (paths.STAMPS_TABLE,),
    "simulate": (paths.TRAINING_TABLE,),
    "pretrain": (paths.ENCODER_CARD,),
    "match_measurements": (paths.MEASUREMENTS_TABLE,),
    "match_votes": (paths.VOLUNTEER_VOTES_TABLE,),
    "train-morphology": (paths.MODEL_CARD.replace("{task}", "morphology"),),
    "train-structure": (paths.MODEL_CARD.replace("{task}", "structure"),),
    "infer_held_out": tuple(paths.HELD_OUT.format(galaxies=galaxies) for galaxies in ("morphology", "volunteers")),
    "infer_held_out_structure": (paths.HELD_OUT_STRUCTURE,),
    "calibrate_votes": (paths.VOTE_CALIBRATION,),
    "calibrate_structure": (paths.STRUCTURE_CALIBRATION,),
    "calibrate_bars": (paths.BAR_CALIBRATION, paths.BAR_CALIBRATION_TABLE),
    "calibrate_features": (paths.FEATURE_CALIBRATION, paths.FEATURE_CALIBRATION_TABLE),
    "evaluate_structure": (paths.STRUCTURE_EVALUATION, paths.STRUCTURE_EVALUATION_TABLE),
    "evaluate": (paths.EVALUATION, paths.EVALUATION_TABLE),
    "audit_votes": (paths.VOTE_BIAS, paths.LABEL_ERRORS),
    "infer_morphology": (paths.ANSWERS,),
    "infer_structure": (paths.STRUCTURE_ANSWERS,),
    "classify": (paths.MORPHOLOGY,),
    "structure": (paths.STRUCTURE,),
    "saliency": (paths.SALIENCY_TABLE,),
    "bars": (paths.BARS,),
    "feature_maps": (paths.FEATURE_MAPS_TABLE,),
    "features": (paths.FEATURES,),
    "inject": (paths.INJECTED,),
    "selection_function": (paths.SELECTION_FUNCTION,),
    "catalogue": (paths.CATALOGUE_FILE,),
    "explain": (paths.EXPLANATIONS,),
    "report": (paths.REPORT,),
    "queue_labels": (paths.QUEUE,),
}
"""Stage -> its files that carry a lineage; the report carries none."""


class Made:
    """The lineages of the results in this folder; each file is read at most once.

    Files that are temporary for Snakemake can be gone although later results were made from them. A stage without any
    file of its own is therefore looked for in the lineages of all others.
    """

    def __init__(self) -> None:
        self._lineages: dict[str, dict[str, str] | None] = {}

    def files(self, stage: str) -> Iterator[str]:
        """Yield the stage's own files that are there."""
        for path in OUTPUTS.get(stage, ()):
            wildcards = {name: "*" for _, name, _, _ in Formatter().parse(path) if name}
            yield from map(str, Path().glob(path.format(**wildcards)))

    def digests(self, stage: str) -> Iterator[str]:
        """Yield the hashes of the parameters by which the stage made what is there, one a file.

        Parameters
        ----------
        stage : str

        Yields
        ------
        str
            Empty for a file that does not say.
        """
        own = False
        for file in self.files(stage):
            own = True
            yield (self._lineage(file) or {}).get(stage, "")
        if not own:
            for other in OUTPUTS:
                yield from self._among(other, stage)

    def has_results(self, stage: str) -> bool:
        """Return whether the stage has made anything that is there, or from which something was made that is there."""
        return next(self.digests(stage), None) is not None

    def all_made_by(self, stage: str, made_so: Callable[[str], bool]) -> bool:
        """Return whether a stage has results and `made_so` holds for the hashes of all; it stops at the first other one."""
        return self.has_results(stage) and all(map(made_so, self.digests(stage)))

    def _among(self, other: str, stage: str) -> Iterator[str]:
        """Yield the hashes of a stage in the files of another one, of which the first says whether to read all."""
        first = next(self.files(other), None)
        if first is not None and stage in (self._lineage(first) or {}):
            for file in self.files(other):
                yield (self._lineage(file) or {}).get(stage, "")

    def oldest(self, stage: str) -> int | None:
        """Return the time (ns) of the stage's oldest file, None if it has none."""
        return min((Path(file).stat().st_mtime_ns for file in self.files(stage)), default=None)

    def _lineage(self, file: str) -> dict[str, str] | None:
        """Return the lineage of a file, None if it has none that can be read."""
        if file not in self._lineages:
            try:
                self._lineages[file] = dict(lineage_of(file)) if not file.endswith(".html") else None
            except InputError:
                self._lineages[file] = None
        return self._lineages[file]
