"""Parts of `pretrain.py`: pictures, augmented views, networks, optimizer, training loop."""
