"""The cells of a run on the machines of a dask.distributed cluster."""
