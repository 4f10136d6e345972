"""The embedded default: the same code on loopback, with no account, no Docker and no network."""
