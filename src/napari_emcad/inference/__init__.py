"""Inference jobs: a network and slices in, a segmentation or stage maps out."""
