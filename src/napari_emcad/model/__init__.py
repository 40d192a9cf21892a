"""The network, torch alone."""
