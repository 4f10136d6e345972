"""Asking a price API: HTTP, the key's budget, retries, credentials. Vendors and trades do not belong here."""
