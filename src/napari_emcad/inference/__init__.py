"""A network and slices in, a segmentation out, batch by batch."""
