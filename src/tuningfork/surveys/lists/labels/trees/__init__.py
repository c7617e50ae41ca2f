"""Decision trees of citizen science projects, one file each, and how their answers translate to ours."""
