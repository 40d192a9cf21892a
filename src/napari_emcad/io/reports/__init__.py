"""Pictures and tables written after a training or an evaluation."""
