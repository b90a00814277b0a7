"""Attention for convolutional networks."""
