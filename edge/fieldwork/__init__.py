"""A technician's tools on the buses: scan, read, write, monitor, probe, browse.

`access` is the seam (the running service's buses, or our own), `operations` the work as streams of plain
messages, `server` and `client` the local socket between the two, `commands` and `show` the terminal.
"""
