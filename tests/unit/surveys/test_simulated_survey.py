"""The simulated survey: one sky, whichever shard or tile asks for it, and images that agree with the catalogue."""

import itertools

import numpy as np
import pytest

from tuningfork.core.config import Configuration
from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import SimulatedSky
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import describe
from tuningfork.core.errors import InputError
from tuningfork.core.tables import numpy_column
from tuningfork.simulate.sky import CELL_ORDER, cells_of_shard
from tuningfork.sky.coordinates import distance, orientation, pixel_to_sky_angle, to_pixels
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.base import IMAGE, STAMP_MARGIN
from tuningfork.surveys.near import depth, needed
from tuningfork.surveys.simulated import SimulatedSurvey
from tuningfork.surveys.transfer.network import Network

SHARD = Shard(8, 416156)
EVERYTHING = Sources(mag_min=0.0, mag_max=40.0)
SKY_IN_A_PIXEL = 10 ** (-0.4 * (21.0 - 22.5)) * 0.396**2
SETTINGS = SimulatedSky(tile_size=400, tile_overlap=150, star_density=500.0)


@pytest.fixture(scope="module")
def description(root):
    return describe(Configuration(), root / "config" / "surveys")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return Network(Transfer(cache=str(tmp_path_factory.mktemp("cache"))))


@pytest.fixture(scope="module")
def survey(description, network):
    return SimulatedSurvey(3, SETTINGS, description, network)


@pytest.fixture(scope="module")
def sources(survey):
    return survey.catalogue(SHARD, EVERYTHING)


def test_the_sky_follows_from_the_seed_alone(survey, sources, description, network):
    again = SimulatedSurvey(3, SETTINGS, description, network)
    again.catalogue(Shard(8, SHARD.pixel + 1), EVERYTHING)
    assert again.catalogue(SHARD, EVERYTHING).equals(sources)
    other = SimulatedSurvey(4, SETTINGS, description, network)
    assert not other.catalogue(SHARD, EVERYTHING).equals(sources)


@pytest.mark.parametrize("order", [9, 10])
def test_smaller_shards_hold_the_same_sources(survey, sources, order):
    children = [Shard(order, SHARD.pixel * 4 ** (order - 8) + child) for child in range(4 ** (order - 8))]
    parts = [survey.catalogue(child, EVERYTHING)["source_id"].to_pylist() for child in children]
    assert sorted(itertools.chain(*parts)) == sources["source_id"].to_pylist()


def test_cells_of_a_shard_cover_it():
    assert cells_of_shard(Shard(CELL_ORDER, 17)) == [17]
    assert cells_of_shard(Shard(CELL_ORDER + 2, 17 * 16 + 5)) == [17]
    assert cells_of_shard(Shard(CELL_ORDER - 1, 4)) == [16, 17, 18, 19]


def test_sources_are_unique_in_order_inside_the_shard_and_as_many_as_stated(survey, sources):
    identifiers = numpy_column(sources, "source_id")
    assert np.all(np.diff(identifiers) > 0)
    assert SHARD.contains(numpy_column(sources, "ra"), numpy_column(sources, "dec")).all()
    area = 4 * np.pi * np.rad2deg(1) ** 2 / (12 * 4**8)
    tables = [survey.catalogue(Shard(8, SHARD.pixel + step), EVERYTHING).num_rows for step in range(6)]
    expected = 6 * area * SETTINGS.galaxy_density
    assert sum(tables) == pytest.approx(expected, abs=4 * np.sqrt(expected))


def test_the_selection_is_made_on_the_magnitude_of_the_catalogue(survey, sources):
    chosen = survey.catalogue(SHARD, Sources(mag_min=15.0, mag_max=17.0))
    mag = numpy_column(sources, "survey_mag")
    assert chosen.num_rows == np.count_nonzero((mag >= 15.0) & (mag <= 17.0))
    assert np.abs(mag - numpy_column(sources, "true_mag")).max() < 0.1
    ratio = numpy_column(sources, "survey_radius") / numpy_column(sources, "true_r_eff")
    assert ratio == pytest.approx(np.sqrt(numpy_column(sources, "true_axis_ratio")), rel=0.25)


@pytest.mark.parametrize(("ra", "dec"), [(0.001, 0.0), (359.999, 45.0), (120.0, -88.0), (77.0, 89.95), (300.0, 70.0)])
def test_the_tiles_of_a_shard_hold_it_and_its_surroundings_whole(survey, ra, dec):
    shard = Shard(9, int(pixels(np.array([ra]), np.array([dec]), 9)[0]))
    tiles = survey.tiles(shard)
    assert [tile.name for tile in tiles] == sorted({tile.name for tile in tiles})
    assert survey.locate([tile.name for tile in tiles]) == tiles
    edge_ra, edge_dec = shard.boundary(steps=8)
    half_a_stamp = 64 * 0.396 / 3600
    for up, aside in itertools.product((-STAMP_MARGIN, 0.0, STAMP_MARGIN), repeat=2):
        around = edge_ra + aside / np.cos(np.deg2rad(edge_dec)), edge_dec + up
        known = np.abs(around[1]) < 90
        deepest = np.max([depth(tile, around[0][known], around[1][known]) for tile in tiles], axis=0)
        assert deepest.min() > (half_a_stamp if up == aside == 0 else 0)


def test_corners_are_those_of_the_image(survey, sources):
    """What a tile says of its place before it is rendered is what its pixels say afterwards."""
    ra, dec = numpy_column(sources, "ra"), numpy_column(sources, "dec")
    tiles = needed(survey.tiles(SHARD), ra, dec, 64 * 0.396 / 3600)
    assert 5 < len(tiles) < len(survey.tiles(SHARD))
    size = SETTINGS.tile_size
    for tile in tiles[:3]:
        x, y = to_pixels(survey.grid.wcs(tile.name), ra, dec, (size, size))
        edge = np.minimum.reduce([x, y, size - 1 - x, size - 1 - y])
        inside = edge > 0
        assert depth(tile, ra, dec)[inside] * 3600 / 0.396 == pytest.approx(edge[inside], abs=0.1)
        assert (depth(tile, ra, dec)[~inside] <= 0).all()


def test_a_tile_that_the_sky_does_not_have_is_named(survey):
    with pytest.raises(InputError, match=r"tile 'sim-r9999-c0000' of the simulated sky: expected a name such as sim-r"):
        survey.locate(["sim-r9999-c0000"])


def test_a_fetched_tile_is_not_rendered_again_and_reads_back(survey, network, description):
    tile = survey.tiles(SHARD)[0]
    first = survey.fetch(tile)
    assert set(first.files) == {"g", "r", "i"}
    assert first.faults == {}
    files = [network.path(roles[IMAGE]) for roles in first.files.values()]
    inodes = [path.stat().st_ino for path in files]
    assert survey.fetch(tile) == first
    assert inodes == [path.stat().st_ino for path in files]
    image = survey.open(first, "r")
    flux, inverse_variance = image.rows(0, 400)
    assert flux.shape == image.shape == (400, 400)
    assert flux.dtype == np.float32
    assert image.zero_point == 22.5
    width = image.psf_fwhm(np.array([10.0, 300.0]), np.array([10.0, 20.0]))
    assert width == pytest.approx([description.psf_fwhm[1]] * 2, rel=0.5)
    centre = image.wcs.all_pix2world([[199.5, 199.5]], 0)[0]
    assert centre == pytest.approx([tile.ra, tile.dec])
    # The noise of the sky is what the inverse variance says; light adds its own.
    noise = inverse_variance.max() ** -0.5
    brightest = np.unravel_index(flux.argmax(), flux.shape)
    assert inverse_variance[brightest] == pytest.approx(noise**-2 / (1 + flux.max() / SKY_IN_A_PIXEL), rel=0.1)
    assert np.std(flux[np.abs(flux) < 3 * noise]) == pytest.approx(noise, rel=0.05)


def test_the_images_depend_on_everything_that_the_cache_folder_is_named_after(survey, description, network):
    names = {
        survey.folder,
        SimulatedSurvey(4, SETTINGS, description, network).folder,
        SimulatedSurvey(3, SETTINGS.model_copy(update={"star_density": 1.0}), description, network).folder,
        SimulatedSurvey(3, SETTINGS, description.model_copy(update={"psf_beta": 2.5}), network).folder,
    }
    assert len(names) == 4


def test_a_broken_tile_is_reported(survey, network):
    tile = survey.fetch(survey.tiles(SHARD)[1])
    path = network.path(tile.files["g"][IMAGE])
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=path.name):
        survey.open(tile, "g")
    path.unlink()
    with pytest.raises(InputError, match="delete it"):
        survey.open(tile, "g")


def test_overlapping_tiles_show_the_same_sky_with_noise_of_their_own(survey):
    row = survey.grid.rows // 2
    left, right = (survey.grid.tile(row, column) for column in (100, 101))
    images = [survey.open(survey.fetch(tile), "r") for tile in (left, right)]
    ra, dec = (left.ra + right.ra) / 2, left.dec
    boxes = []
    for image in images:
        x, y = image.wcs.all_world2pix([[ra, dec]], 0)[0]
        column, line = round(x), round(y)
        boxes.append(image.rows(line - 60, line + 60)[0][:, column - 60 : column + 60])
    bright = [np.sort(box.ravel())[-100:].sum() for box in boxes]
    assert bright[0] == pytest.approx(bright[1], rel=0.3)
    assert not np.allclose(boxes[0], boxes[1], atol=0.01)
    first, second = (box[np.abs(box) < 0.1] for box in boxes)
    assert first.std() > 0.02
    assert second.std() > 0.02


def brightest(survey, sources, kind, number):
    """Yield truth, image and pixel position of bright, large galaxies of a class that lie well inside their tile."""
    mag = numpy_column(sources, "true_mag")
    chosen = [i for i in np.argsort(mag) if sources["true_class"][int(i)].as_py() == kind][:number]
    for index in chosen:
        truth = sources.slice(int(index), 1).to_pylist()[0]
        best = needed(survey.tiles(SHARD), np.array([truth["ra"]]), np.array([truth["dec"]]), 0.0)[0]
        image = survey.open(survey.fetch(best), "r")
        x, y = image.wcs.all_world2pix([[truth["ra"], truth["dec"]]], 0)[0]
        yield truth, image, x, y


def test_galaxies_stand_where_the_catalogue_says_with_its_angles_and_flux(survey, sources):
    """Edge-on discs have the clearest direction; some of the tiles are mirrored and all are turned."""
    angles = []
    for truth, image, x, y in brightest(survey, sources, "edge_on", 4):
        column, line, half = round(x), round(y), 40
        box = image.rows(line - half, line + half + 1)[0][:, column - half : column + half + 1].astype(float)
        rows, columns = np.indices(box.shape) - half
        near = np.hypot(rows, columns) < 2.5 * truth["true_r_eff"] / 0.396
        light = np.where(near & (box > 0.15), box, 0)
        assert (light * columns).sum() / light.sum() == pytest.approx(x - column, abs=1.5)
        assert (light * rows).sum() / light.sum() == pytest.approx(y - line, abs=1.5)
        xx, yy, xy = ((light * a * b).sum() for a, b in ((columns, columns), (rows, rows), (columns, rows)))
        theta = np.rad2deg(0.5 * np.arctan2(2 * xy, xx - yy)) - 90
        north, east_is_left = orientation(image.wcs, np.array([x]), np.array([y]))
        measured = pixel_to_sky_angle(np.array([theta]), north, east_is_left)[0]
        angles.append((measured - truth["true_position_angle"] + 90) % 180 - 90)
    assert np.median(np.abs(angles)) < 3


def test_some_tiles_are_mirrored_and_all_are_turned(survey):
    orientations = [
        orientation(survey.grid.wcs(survey.grid.tile(700, column).name), np.array([200.0]), np.array([200.0]))
        for column in range(60)
    ]
    turns = np.array([(north[0] + 90) % 180 - 90 for north, _ in orientations])
    assert np.abs(turns).max() <= 1.001
    assert np.std(turns) > 0.3
    assert 3 < sum(not left[0] for _, left in orientations) < 30


def test_the_faint_and_the_bright_that_are_not_selected_are_on_the_images_too(survey):
    cell = survey.sky.cell(cells_of_shard(SHARD)[0])
    assert cell.survey_mag.max() > 17.8
    assert len(cell.lights) > 10
    separation = distance(cell.lights_ra, cell.lights_dec, cell.ra.mean(), cell.dec.mean())
    assert separation.max() < 0.15
