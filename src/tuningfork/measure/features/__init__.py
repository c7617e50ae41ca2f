"""Measurement of bulges and spiral arms."""
