"""Feature maps, gates and logits of every decoder stage."""
