"""Methods that learn from strokes."""
