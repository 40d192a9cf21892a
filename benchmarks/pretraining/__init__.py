"""Parts of `pretrain.py`: pictures, views of them, and the networks."""
