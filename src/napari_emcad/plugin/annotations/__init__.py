"""Annotation layers."""
