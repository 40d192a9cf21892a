"""Saving and opening projects."""
