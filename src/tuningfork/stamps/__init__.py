"""Stamps: cut, padded, stored."""
