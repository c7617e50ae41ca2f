"""Bulges and spiral arms."""
