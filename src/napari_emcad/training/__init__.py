"""Training: labeled slices in, a trained network or its scores out."""
