"""Saliency maps and other explanations of what a network looks at."""
