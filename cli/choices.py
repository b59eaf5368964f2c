"""``mtfx datasets`` and ``mtfx backbones``: what can be chosen.

``mtfx datasets`` also says whether files are the published ones, and how far the feedbacks of a log
agree.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtfx.cli.agreement import LEAST_ITEM_ROWS, LEAST_USER_ROWS, print_agreement
from mtfx.cli.shared_flags import debug_option
from mtfx.datasets.registry import DATASETS, load_dataset, resolve_name
from mtfx.datasets.spec import DatasetSpec, KnownFile, SessionRule
from mtfx.errors import UserError, require
from mtfx.models.loss_weighting.registry import LOSS_WEIGHTINGS
from mtfx.models.mtl.registry import BACKBONES, BackboneConfig

_BLOCK = 1 << 20


@click.command("datasets")
@click.option(
    "--check",
    "data_dir",
    type=click.Path(path_type=Path),
    help="Compare the files in this directory with the published sizes and digests.",
)
@click.option(
    "--agreement",
    "log_dir",
    type=click.Path(path_type=Path),
    help="Show how far the feedbacks of the log in this directory agree about items and users.",
)
@click.option("--dataset", help="The data set to check or measure, or the only one to list.")
@click.option(
    "--least-item-rows",
    type=click.IntRange(min=2),
    default=LEAST_ITEM_ROWS,
    show_default=True,
    help="--agreement leaves out items with fewer rows in either half of the log.",
)
@click.option(
    "--least-user-rows",
    type=click.IntRange(min=2),
    default=LEAST_USER_ROWS,
    show_default=True,
    help="Likewise users.",
)
@debug_option
def datasets_command(
    data_dir: Path | None,
    log_dir: Path | None,
    dataset: str | None,
    least_item_rows: int,
    least_user_rows: int,
) -> None:
    """List the data sets, check downloaded files, or measure how far a log's feedbacks agree."""
    console = Console()
    for flag, directory in (("--check", data_dir), ("--agreement", log_dir)):
        if directory is not None and dataset is None:
            raise click.UsageError(f"{flag} needs --dataset: whose files are these?")
    if log_dir is not None and data_dir is not None:
        raise click.UsageError("give either --check or --agreement")
    if log_dir is not None and dataset is not None:
        require(log_dir.is_dir(), f"--agreement {log_dir} is not a directory")
        wide = Console(width=None if console.is_terminal else 160, highlight=False)
        spec = _load(_resolved(dataset, log_dir))
        print_agreement(wide, spec, str(log_dir), least_item_rows, least_user_rows)
        return
    specs = [_load(name) for name in ([dataset] if dataset else DATASETS)]
    if data_dir is None:
        console.print(_listing(specs))
        return
    require(data_dir.is_dir(), f"--check {data_dir} is not a directory")
    if not check_files(specs[0], data_dir, console):
        raise UserError(
            f"files in {data_dir} differ from the published ones",
            "download them again, or go on if the change is yours: the pipeline checks every row",
        )


def _resolved(name: str, directory: Path) -> str:
    try:
        return resolve_name(name, str(directory))
    except ValueError as error:
        raise UserError(str(error)) from error


def _load(name: str) -> DatasetSpec:
    try:
        return load_dataset(name)
    except ValueError as error:
        raise UserError(str(error)) from error


def _listing(specs: list[DatasetSpec]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for spec in specs:
        chosen = {task.name for task in spec.select_tasks()}
        table.add_row(Text(spec.name, style="bold"), Text(spec.title))
        tasks = ", ".join(task.name + "*" * (task.name in chosen) for task in spec.tasks)
        table.add_row("  tasks", Text(tasks))
        table.add_row("  sessions", _session_rule(spec.session_rule))
        table.add_row("  from", Text(spec.source))
        table.add_row()
    table.add_row("", "* trained when --tasks names none", style="dim")
    return table


def _session_rule(rule: SessionRule) -> str:
    kinds = {
        "explicit": "a column of the log",
        "gap": f"a new one after {rule.gap_minutes:g} minutes away",
        "user": "a user's whole history",
    }
    return f"{kinds[rule.kind]}; at most {rule.max_length} impressions"


def check_files(spec: DatasetSpec, data_dir: Path, console: Console) -> bool:
    """Prints each published file's state; returns whether no present file differs.

    Args:
      spec: The data set.
      data_dir: Directory searched, subdirectories included.
      console: Where the table goes.

    Raises:
      UserError: if the data set has no published digests, or none of its files are there.
    """
    if not spec.known_files:
        raise UserError(f"data set {spec.name} has no published digests to compare with")
    table = Table(box=None, pad_edge=False)
    for heading in ("file", "state", "size (bytes)"):
        table.add_column(heading, justify="right" if "size" in heading else "left")
    states = []
    for known in spec.known_files:
        path = next(iter(sorted(data_dir.rglob(known.name))), None)
        state = "missing" if path is None else _state(path, known)
        states.append(state)
        table.add_row(known.name, state, "" if path is None else f"{path.stat().st_size:,}")
    console.print(table)
    if all(state == "missing" for state in states):
        raise UserError(
            f"none of the files of data set {spec.name} is in {data_dir}",
            f"get them: {spec.source}",
        )
    return all(state in ("missing", "as published") for state in states)


def _state(path: Path, known: KnownFile) -> str:
    if known.size is not None and path.stat().st_size != known.size:
        return f"size differs: {known.size:,} expected"
    digest = hashlib.new(known.algorithm)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return "as published" if digest.hexdigest() == known.digest else f"{known.algorithm} differs"


@click.command("backbones")
def backbones_command() -> None:
    """List the multi-task backbones, their sizes, and the loss weightings."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "what it is", "--model-size paper", "--model-size small"):
        table.add_column(heading, overflow="fold")
    for name, entry in BACKBONES.items():
        table.add_row(
            name,
            entry.summary,
            describe_sizes(entry.config()),
            describe_sizes(entry.small),
        )
    weightings = Table(box=None, pad_edge=False)
    for heading in ("--loss-weighting", "what it is"):
        weightings.add_column(heading, overflow="fold")
    for name, entry in LOSS_WEIGHTINGS.items():
        weightings.add_row(name, entry.summary)
    console = Console()
    console.print(table)
    console.print()
    console.print(weightings)


def describe_sizes(config: BackboneConfig) -> str:
    """Layer sizes in one line, such as ``bottom 512-256, tower 128-64, 8 experts``."""
    parts = [
        "bottom " + "-".join(map(str, config.bottom_units)),
        "tower " + "-".join(map(str, config.tower_units)),
    ]
    common = {field.name for field in dataclasses.fields(BackboneConfig)}
    parts += [
        f"{value} {name.removeprefix('num_').replace('_', ' ')}"
        for name, value in dataclasses.asdict(config).items()
        if name not in common
    ]
    return ", ".join(parts)
