"""`rowkeep torture`: kills a server of its own under load."""

import sys
from pathlib import Path

import click

from rowkeep.trials.torture import TortureOptions, run_torture


@click.command("torture")
@click.option("--minutes", default=5.0, show_default=True, help="How long it takes.")
@click.option("--seed", default=1, show_default=True, help="Of the random moments.")
@click.option(
    "--directory", default=Path(), type=click.Path(path_type=Path), help="On the disk to try. [default: here]"
)
def torture_command(minutes: float, seed: int, directory: Path) -> None:
    """Kill a server of its own again and again under load, and check that nothing is lost or doubled."""
    outcome = run_torture(TortureOptions(seconds=minutes * 60, seed=seed, directory=directory))
    click.echo(outcome.text)
    if outcome.violations:
        sys.exit(1)
