"""The review queue of the Teach tab."""
