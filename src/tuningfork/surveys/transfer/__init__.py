"""Transfers from remote services: retries, rate limits, verification, and the cache of fetched files.

`network` is the entry point. A request passes the `gate` of its host, whose `locks` all jobs share, and is repeated by
`attempts` if it fails. A file is downloaded by `download` into a `partial` file, read piece by piece by `body`, checked
by `verify` with `fits_walk`, and placed in the `cache`, whose `ledger` decides what to delete. Libraries that query
catalogues do so through a `session`.
"""
