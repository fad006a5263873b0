"""
What the Console does, free of transport and database: each file is one use-case.

What a use-case needs of the outside it says as a Protocol in `interfaces`; `app` hands in what implements it.
"""
