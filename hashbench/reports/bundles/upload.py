"""Puts a bundle on the Hugging Face hub, where others find it; tried against a stand-in of its API only."""

from __future__ import annotations

import re
from pathlib import Path

from hashbench.errors import InputError, describe_error

TARGET = re.compile(r"hf:(?P<name>[\w.-]+/[\w.-]+)", re.ASCII)


def repository_of(to: str) -> str:
    """Return the repository that ``hf:OWNER/NAME`` names.

    Raises
    ------
    InputError
        The text is not of the form ``hf:OWNER/NAME``.
    """
    target = TARGET.fullmatch(to)
    if target is None:
        raise InputError(f"--to {to}: expected hf:OWNER/NAME")
    return target["name"]


def upload(bundle: Path, to: str, endpoint: str | None = None) -> str:
    """Upload a bundle to a repository of data sets, which is made where there is none, and return its address.

    Parameters
    ----------
    bundle : Path
    to : str
        ``hf:OWNER/NAME``.
    endpoint : str, optional
        The hub's address; the library's own by default, which the environment variable HF_ENDPOINT sets.

    Raises
    ------
    InputError
        The name is not a repository's, nobody is logged in, or the hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi

    name = repository_of(to)
    api = HfApi(endpoint=endpoint)
    try:
        api.create_repo(name, repo_type="dataset", exist_ok=True)
        done = api.upload_file(path_or_fileobj=bundle, path_in_repo=bundle.name, repo_id=name, repo_type="dataset")
    except Exception as error:  # the library's, and those of the two libraries below it
        raise InputError(
            f"--to {to}: the upload failed ({describe_error(error)}); {bundle} is written. Log in with: hf auth login"
        ) from error
    return str(done.commit_url)
