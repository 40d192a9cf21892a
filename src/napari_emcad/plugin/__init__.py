"""Floor 5: the only place that knows napari and Qt."""
