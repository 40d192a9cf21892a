"""Jobs in threads."""
