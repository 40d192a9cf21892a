"""Floor 1: the network, torch alone."""
