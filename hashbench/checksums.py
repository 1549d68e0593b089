"""Whether files are their publisher's own, told by MD5 sums."""

from __future__ import annotations

from collections.abc import Mapping

from hashbench.progress import to_stderr


def are_official(found: Mapping[str, str], published: Mapping[str, str], where: object) -> bool:
    """Compare MD5 sums with the publisher's, and say on standard error which files differ.

    Parameters
    ----------
    found, published : dict from str to str
        MD5 sums (hex) by the files' names, the same names in both.
    where : object
        What was read, for the message.

    Returns
    -------
    bool
        Whether all are the same.
    """
    name_of = {md5: name for name, md5 in published.items()}
    different = [name for name, md5 in published.items() if found[name] != md5]
    if not different:
        return True
    files = [f"{name} (is {name_of[found[name]]})" if found[name] in name_of else name for name in different]
    to_stderr(
        f"{where}: MD5 sums differ from the publisher's for {', '.join(files)}; the data is marked as a copy, fetch "
        "these files again if it is to be official"
    )
    return False
