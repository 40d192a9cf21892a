"""Floor 1: pixels, numpy and scikit-image alone."""
