"""The annotate and fine-tune loop, without Qt."""
