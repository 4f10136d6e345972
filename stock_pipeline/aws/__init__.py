"""Thin adapters over boto3: one service a module, no decisions. Clients are made by entrypoints and passed in."""
