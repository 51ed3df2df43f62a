"""Where functions run beside this process: in processes of this machine, or on a Dask cluster."""
