"""Checks of what a data set says of itself: its facts and its protocols. They need no files."""

from __future__ import annotations

import inspect
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from hashbench.checks.check import DATASETS, NEEDS_FILES, check
from hashbench.checks.dataset_trial import Trial
from hashbench.data.plugin import HashDataset
from hashbench.data.protocol import EXTRA_METRICS
from hashbench.errors import InputError
from hashbench.evaluation import metrics

_VERSIONED = re.compile(r"\S+/[1-9]\d*")


@check(DATASETS)
def check_facts(trial: Trial) -> None:
    """The class says what it is, where the data comes from, under which terms, and what a user must bring."""
    facts = trial.dataset_class
    assert (facts.__doc__ or "").strip(), "the class has no docstring"
    assert inspect.getdoc(facts) != inspect.getdoc(HashDataset), "the class has no docstring"
    assert facts.source, "source is empty: say where the data comes from"
    assert facts.licence, "licence is empty: say the terms, or that none are stated"
    if not facts.needs:
        try:
            replace(trial, data_dir=None).load()
        except InputError as error:
            raise AssertionError(f"needs is empty, but without files loading says: {error}") from error


@check(DATASETS, only=NEEDS_FILES)
def check_missing_files(trial: Trial) -> None:
    """Where files are needed, an empty directory is a clear error, and nothing is written to it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            replace(trial, data_dir=Path(folder)).load()
        except InputError as error:
            assert str(error), "an empty directory gives an error without a message"
            assert "\n" not in str(error), f"an empty directory gives an error of several lines: {str(error)!r}"
        else:
            raise AssertionError("an empty directory is accepted")
        assert not any(Path(folder).iterdir()), "loading writes into an empty data directory"


@check(DATASETS)
def check_protocol_names(trial: Trial) -> None:
    """There is a protocol, every name ends in a version, and none is used twice; the split is put into words."""
    names = [protocol.name for protocol in trial.dataset_class.protocols]
    assert names, "there is no protocol"
    for protocol in trial.dataset_class.protocols:
        assert _VERSIONED.fullmatch(protocol.name), f"{protocol.name!r} does not end in a version, such as /1"
        assert protocol.split, f"{protocol.name}: split is empty: put it into words that another lab can follow"
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"two protocols are named {min(twice)}"


@check(DATASETS)
def check_protocol_checksums(trial: Trial) -> None:
    """Every protocol is what it was when its version was given."""
    for protocol in trial.dataset_class.protocols:
        assert protocol.checksum, f'{protocol.name} has no checksum; if it is new, add checksum="{protocol.hash}"'
        assert protocol.checksum == protocol.hash, (
            f"{protocol.name} is not what it was: its checksum is {protocol.checksum}, its hash {protocol.hash}; give "
            "it a new version"
        )


@check(DATASETS)
def check_metrics(trial: Trial) -> None:
    """Metrics are known, none is named twice, and those that every protocol reports are among them."""
    for protocol in trial.dataset_class.protocols:
        for name in protocol.metrics:
            try:
                metrics.parse(name)
            except ValueError as error:
                raise AssertionError(f"{protocol.name}: {error}") from error
        missing = [name for name in EXTRA_METRICS if name not in protocol.metrics]
        assert not missing, f"{protocol.name} lacks {missing[0]}, which every protocol reports"
        assert len(set(protocol.metrics)) == len(protocol.metrics), f"{protocol.name} names a metric twice"
