"""Floor 2: a network and slices in, a segmentation out, batch by batch."""
