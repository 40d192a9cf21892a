"""Floor 2: labelled slices in, a better network or an honest score out."""
