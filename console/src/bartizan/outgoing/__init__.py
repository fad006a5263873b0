"""
Every request that leaves the Console goes through here: one guard against server-side request forgery.

`late` is what the Console is composed with; `client` makes the requests; `network` is also under what asks registries.
"""
