"""How a price API is asked: HTTP, the key's budget, retries, credentials. Nothing here knows a vendor or a trade."""
