"""Views: what can be seen of a loss. One file a picture; each makes scenes with the real loss through the real head."""

from .base import MOST, View, catalogue, named, view
from .values import read_value, written_value

__all__ = ["MOST", "View", "catalogue", "named", "read_value", "view", "written_value"]
