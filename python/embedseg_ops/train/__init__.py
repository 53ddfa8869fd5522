"""Training: losses, targets, the trainer and its checkpoints."""
