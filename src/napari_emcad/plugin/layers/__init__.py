"""Conversions between napari layers and values."""
