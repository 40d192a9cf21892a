"""Labeled slices in, a better network or an honest score out."""
