"""Segmentation of many files by the processes of a dask cluster; the window is not involved."""
