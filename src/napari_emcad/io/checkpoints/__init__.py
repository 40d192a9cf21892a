"""Checkpoint files: published, native and foreign ones."""
