"""The user's own files: checks before any job starts, and digests that identify their content.

Readers are imported where they are used: every command plans the run, most runs need few of them, and each takes half
a second.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tuningfork.core.config import Configuration
from tuningfork.core.config.sources import Detection, HatsCatalogue, SurveyCatalogue, TableCatalogue
from tuningfork.core.description import Description
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.files import as_text
from tuningfork.core.stage import paths

if TYPE_CHECKING:
    from tuningfork.surveys.lists.sources.table import UserTable


def inputs_of(configuration: Configuration, description: Description) -> dict[str, dict[str, str]]:
    """Check the user's files, and return their digests.

    Parameters
    ----------
    configuration : Configuration
    description : Description
        The survey's description.

    Returns
    -------
    dict
        Stage -> name of an input -> digest of the user's files that the stage reads.

    Raises
    ------
    ConfigurationError
        If a file is missing or unreadable, there is no image, a table lacks columns, or nothing says where the
        sources of the table are on the images.
    """
    try:
        return _inputs(configuration, description)
    except InputError as error:
        raise ConfigurationError(str(error)) from None


def _inputs(configuration: Configuration, description: Description) -> dict[str, dict[str, str]]:
    inputs: dict[str, dict[str, str]] = {"sources": {}, "tiles": {}, "stamps": {}}
    inputs["simulate"] = _of_the_simulation(configuration, description)
    catalogue = configuration.sources.catalogue
    table = checked_table(configuration)
    if isinstance(catalogue, TableCatalogue):
        inputs["sources"]["table"] = _content(catalogue.path)
    measured = configuration.train.structure.measurements
    if measured.table is not None:
        from tuningfork.surveys.lists.labels.measured import read_measured

        read_measured(measured)
        inputs["match_measurements"] = {"table": _content(str(measured.table))}
    inputs["match_votes"] = _of_the_votes(configuration)
    inputs["train-morphology"] = _of_the_pictures(configuration)
    if Path(paths.VOTES).is_file():
        # The table has a checksum of every stamp.
        inputs["train-morphology"]["labels"] = _content(paths.VOTES)
    if isinstance(catalogue, HatsCatalogue):
        from tuningfork.surveys.lists.sources.hats import Hats

        hats = Hats(catalogue)
        hats.check()
        inputs["sources"]["hats"] = hats.digest()
    if configuration.survey.name == "folder":
        from tuningfork.surveys.folder.survey import FolderSurvey

        survey = FolderSurvey(configuration.survey.folder, description)
        survey.check(table, detection=isinstance(catalogue, Detection))
        images = _listing(path for layout in survey.layouts.values() for path in layout.paths)
        inputs["tiles"]["images"] = inputs["stamps"]["images"] = images
        psfs = survey.psf_files(table)
        if psfs:
            inputs["stamps"]["psf_images"] = _listing(psfs)
        if isinstance(catalogue, SurveyCatalogue | Detection) or (table is not None and "file" in table.columns):
            inputs["sources"]["images"] = images
    return inputs


def _of_the_simulation(configuration: Configuration, description: Description) -> dict[str, str]:
    psfs, sky = configuration.simulate.psf_images, configuration.simulate.sky_patches
    inputs = {}
    if psfs is not None:
        from tuningfork.simulate.imaging.psf_images import PsfStack

        PsfStack.of(psfs, description)
        inputs["psf_images"] = _content(psfs)
    if sky is not None:
        from tuningfork.simulate.imaging.patches import SkyPatches, patch_files

        SkyPatches.of(sky, description)
        contents = "\n".join(_content(str(path)) for path in patch_files(sky))
        inputs["sky_patches"] = hashlib.sha256(contents.encode()).hexdigest()
    return inputs


def _of_the_votes(configuration: Configuration) -> dict[str, str]:
    votes = configuration.train.morphology.votes
    if not votes.wanted:
        return {}
    from tuningfork.surveys.lists.labels.trees.tree import read_tree, tree_file

    read_tree(votes.tree)
    if votes.table is not None and not Path(votes.table).exists():
        raise InputError(f"train.morphology.votes.table: {votes.table}: no such file")
    inputs = {"tree": hashlib.sha256(tree_file(votes.tree).read_bytes()).hexdigest()}
    return inputs | ({"table": _content(votes.table)} if votes.table is not None else {})


def _of_the_pictures(configuration: Configuration) -> dict[str, str]:
    table = configuration.train.morphology.picture_votes
    if table is None:
        return {}
    for path in (Path(table), Path(table).with_suffix(".npy")):
        if not path.is_file():
            raise InputError(f"train.morphology.picture_votes: {path}: no such file; tuningfork picture-votes makes it")
    return {"pictures": _content(table)}


def checked_table(configuration: Configuration) -> "UserTable | None":
    """Return the user's table of sources, or None if the configuration names none.

    Raises
    ------
    InputError
        If the table cannot be used.
    """
    catalogue = configuration.sources.catalogue
    if not isinstance(catalogue, TableCatalogue):
        return None
    from tuningfork.surveys.lists.columns import require_position
    from tuningfork.surveys.lists.sources.table import UserTable

    table = UserTable(catalogue)
    require_position(table.columns, table.available, table.what, or_file=configuration.survey.name == "folder")
    table.check()
    return table


def _content(path: str) -> str:
    """Return a digest of the content of a file, or of the Parquet files in a folder."""
    if Path(path).is_dir():
        from tuningfork.surveys.lists.formats.parquet import parts_of

        files = parts_of(Path(path))
        text = "\n".join(f"{file.relative_to(path)} {_content(str(file))}" for file in files)
        return hashlib.sha256(text.encode()).hexdigest()
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listing(paths: Iterable[Path]) -> str:
    """Return a digest of the names, sizes and modification times (ns) of files, which are too many to read."""
    lines = set()
    for path in set(paths):
        try:
            status = path.stat()
        except OSError:
            status = path.lstat()  # a link that leads nowhere
        lines.add(f"{as_text(path.name)} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
