"""Data sets as they are distributed: images and label files in folders of any layout."""
