"""Training while people watch: worker processes, their queue, and the bytes that a browser asks for."""
