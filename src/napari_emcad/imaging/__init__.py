"""Image arrays: slices, intensities, tiles and label regions; independent of torch."""
