"""The command ``hashbench env``."""

from __future__ import annotations

from typing import Annotated

import typer


def env(
    torch: Annotated[bool, typer.Option("--torch", help="Import torch to find GPUs; takes seconds.")] = False,
) -> None:
    """Print versions, processor, threads, memory and GPU: what a bug report needs."""
    import numpy  # noqa: F401 - brings the BLAS library that is told of

    from hashbench.files.cache import cache_directory
    from hashbench.runs.environment import environment

    told = environment() | {"gpu": "not asked; --torch asks"}
    if torch:
        from hashbench.features.hardware.cuda import cuda_problem
        from hashbench.runs.gpu import describe_gpu

        problem = cuda_problem()
        told |= {"gpu": f"none: {problem}"} if problem else describe_gpu()
    for name, value in (told | {"cache": cache_directory(None)}).items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {one}" for key, one in value.items())
        print(f"{name}: {'none' if value in (None, '') else value}")
