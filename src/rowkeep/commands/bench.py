"""`rowkeep bench`: measures this server on this machine."""

from pathlib import Path

import click

from rowkeep.trials.exports import EXPORT_COUNTS, run_exports
from rowkeep.trials.fairness import run_fairness
from rowkeep.trials.files import MEGABYTES, run_files
from rowkeep.trials.following import FOLLOWER_COUNTS, run_following
from rowkeep.trials.formats import run_formats
from rowkeep.trials.growth import GROWTH_COUNTS, run_growth
from rowkeep.trials.opening import OPENING_COUNTS, run_opening
from rowkeep.trials.overload import run_overload
from rowkeep.trials.queries import QUERY_COUNTS, run_queries
from rowkeep.trials.run import BenchmarkOptions, run_benchmark, run_memory
from rowkeep.trials.soak import run_soak
from rowkeep.trials.sustained import run_sustained
from rowkeep.trials.targets import peer
from rowkeep.trials.variants import run_variants


@click.command("bench")
@click.option("--rounds", default=5, show_default=True, help="Rounds over all targets; the median counts.")
@click.option("--seconds", default=3.0, show_default=True, help="How long each measurement takes.")
@click.option("--rows", default="1,10,100,1000", show_default=True, help="Rows a request.")
@click.option("--connections", default="1,16,64", show_default=True, help="Connections at a time.")
@click.option(
    "--peer",
    "peers",
    nargs=3,
    multiple=True,
    metavar="NAME URL TOKEN",
    help="Another server. [default: none]",
)
@click.option(
    "--measure",
    type=click.Choice(
        [
            *("inserts", "memory", "growth", "sustained", "opening", "following", "soak", "variants"),
            *("fairness", "formats", "overload", "files", "queries", "exports"),
        ]
    ),
    default="inserts",
    show_default=True,
    help="What; docs/performance.md tells. The options above are for inserts.",
)
@click.option("--minutes", default=10.0, show_default=True, help="How long sustained and soak take.")
@click.option("--counts", default="", help="Of rows, uploads, followers or MB. [default: by measure]")
@click.option(
    "--directory",
    default=Path(),
    type=click.Path(path_type=Path),
    help="On the disk to measure. [default: here]",
)
def bench(
    *,
    rounds: int,
    seconds: float,
    rows: str,
    connections: str,
    peers: tuple[tuple[str, str, str], ...],
    measure: str,
    minutes: float,
    counts: str,
    directory: Path,
) -> None:
    """Measure this server on this machine and print a report in Markdown."""
    options = BenchmarkOptions(
        rounds=rounds,
        seconds=seconds,
        rows=_numbers(rows),
        connections=_numbers(connections),
        peers=tuple(peer(*item) for item in peers),
        directory=directory,
    )
    measures = {
        "inserts": lambda: run_benchmark(options),
        "memory": lambda: run_memory(directory),
        "growth": lambda: run_growth(_numbers(counts) or GROWTH_COUNTS, directory),
        "sustained": lambda: run_sustained(minutes, directory),
        "opening": lambda: run_opening(_numbers(counts) or OPENING_COUNTS, directory),
        "following": lambda: run_following(_numbers(counts) or FOLLOWER_COUNTS, directory),
        "soak": lambda: run_soak(minutes, directory),
        "variants": lambda: run_variants(rounds, seconds, directory),
        "fairness": lambda: run_fairness(rounds, seconds, directory),
        "formats": lambda: run_formats(rounds, seconds, directory),
        "files": lambda: run_files(_numbers(counts or str(MEGABYTES))[0], rounds, seconds, directory),
        "queries": lambda: run_queries(_numbers(counts) or QUERY_COUNTS, directory),
        "exports": lambda: run_exports(_numbers(counts) or EXPORT_COUNTS, directory),
        "overload": lambda: run_overload(rounds, seconds, directory),
    }
    click.echo(measures[measure]())


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)
