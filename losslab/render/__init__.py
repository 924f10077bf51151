"""Renderers: a scene becomes a picture. style.py says what roles look like; screen.py draws with Plotly."""
