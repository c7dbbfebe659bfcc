"""Repeats writes whose response was lost, where that is safe."""
