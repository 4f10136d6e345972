"""Recorded sessions in files: reading, checking and replaying them, and the sample that comes with the package."""
