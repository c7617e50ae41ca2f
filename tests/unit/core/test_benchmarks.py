"""Benchmark files as Snakemake writes them."""

from pathlib import Path

import pytest

from tuningfork.core.stage.benchmarks import read_benchmarks

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def write(path: Path, *rows: tuple[str, str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{s}\t0:00:01\t{rss}\t900\t400\t450\t0.1\t2.3\t95.0\t{cpu}\n" for s, rss, cpu in rows]
    path.write_text(HEAD + "".join(lines))


def test_the_jobs_of_a_stage_are_added_up_and_the_most_expensive_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "stamps" / "8-1.tsv", ("10.0", "300.5", "9.0"))
    write(tmp_path / "stamps" / "8-2.tsv", ("30.0", "200.0", "28.0"))
    write(tmp_path / "train" / "morphology-0.tsv", ("400.0", "1500.0", "780.0"))
    train, stamps = read_benchmarks(tmp_path)
    assert (train.stage, train.jobs, train.seconds, train.cpu_seconds) == ("train", 1, 400, 780)
    assert (stamps.stage, stamps.jobs, stamps.seconds, stamps.longest) == ("stamps", 2, 40, 30)
    assert (stamps.cpu_seconds, stamps.memory) == (37, 300.5)


def test_repetitions_of_a_job_are_averaged(tmp_path: Path) -> None:
    write(tmp_path / "bars" / "8-1.tsv", ("10.0", "300", "9.0"), ("20.0", "400", "11.0"))
    (bars,) = read_benchmarks(tmp_path)
    assert (bars.jobs, bars.seconds, bars.memory) == (1, 15, 350)


@pytest.mark.parametrize("missing", ["NA", "-", ""])
def test_a_job_too_short_to_be_measured_has_a_time_alone(tmp_path: Path, missing: str) -> None:
    write(tmp_path / "publish" / "catalogue.tsv", ("0.05", missing, missing))
    (publish,) = read_benchmarks(tmp_path)
    assert (publish.seconds, publish.cpu_seconds, publish.memory) == (0.05, None, None)


def test_what_is_no_benchmark_is_left_out(tmp_path: Path) -> None:
    assert read_benchmarks(tmp_path / "nothing") == []
    write(tmp_path / "bars" / "8-1.tsv", ("NA", "300", "9.0"))
    (tmp_path / "bars" / "8-2.tsv").write_bytes(b"\xff\x00")
    (tmp_path / "bars" / "notes.txt").write_text("s\n5\n")
    (tmp_path / "loose.tsv").write_text("s\n5\n")
    assert read_benchmarks(tmp_path) == []
