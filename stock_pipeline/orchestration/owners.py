"""Owners of the assets."""

OWNERS = ["team:data-platform"]
