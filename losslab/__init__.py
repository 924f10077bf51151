"""losslab: see what a face-recognition loss does to the sphere, then train with the very same code."""

from .head import PrototypeHead
from .losses import ArcFace, CosFace, ElasticFace, NormFace, Softmax, SphereFace

__version__ = "0.1.0"
__all__ = ["ArcFace", "CosFace", "ElasticFace", "NormFace", "PrototypeHead", "Softmax", "SphereFace"]
