"""Everything that leaves this machine: retries, limits, verification, and the cache of what has come.

`network` is the way in. A request passes the `gate` of its host, whose `locks` all jobs share, and is made again by
`attempts` when it fails. A file is brought by `download` into a `partial` one, read piece by piece by `body`, checked
by `verify` with `fits_walk`, and placed in the `cache`, whose `ledger` knows what to drop. Libraries that ask
catalogues do so through a `session`.
"""
