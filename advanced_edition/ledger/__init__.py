"""A bank's ledger: double entry, by event sourcing, on an append-only log.

Read it in this order: `events` (what can happen), `journal` (what that moves), `state` (what
follows from it), `rules` and `products` (how we decide), `service` (the requests), `books` and
`log` (how it gets to the disk and back), `snapshots`, `audit`, `read_model`.
"""
