"""Inference networks: the same networks, faster where only derivatives with respect to the pixels are needed."""
