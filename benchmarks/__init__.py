"""How fast losslab is, side by side with its peers: `python -m benchmarks [name ...]`. Nothing here asserts a time."""
