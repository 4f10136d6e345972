"""Who owns the assets."""

OWNERS = ["team:data-platform"]
