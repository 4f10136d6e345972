"""A real-time stock market pipeline: see README.md for what it does and docs/architecture.md for where things are."""
