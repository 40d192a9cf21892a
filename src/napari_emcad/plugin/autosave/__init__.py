"""Annotations and models kept for the case of a crash."""
