"""Pixels, numpy and scikit-image alone."""
