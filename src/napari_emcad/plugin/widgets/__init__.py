"""Small Qt widgets that all tabs use."""
