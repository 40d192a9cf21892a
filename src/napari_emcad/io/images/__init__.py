"""Image and label files, and folders of them."""
