"""Reading and writing files; no other folder opens any."""
