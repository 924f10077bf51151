"""losslab: see what a face-recognition loss does to the sphere, then train with the very same code."""

from .diagnosis import diagnose
from .head import PairHead, PrototypeHead
from .losses import (
    AdaCos,
    AdaFace,
    ArcFace,
    CenterLoss,
    Circle,
    CirclePair,
    CombinedMargin,
    Contrastive,
    CosFace,
    CurricularFace,
    DynArcFace,
    ElasticFace,
    InterFace,
    InterLoss,
    IntraLoss,
    KappaFace,
    LiArcFace,
    LSoftmax,
    MagFace,
    MarginLoss,
    MVSoftmax,
    NormFace,
    P2SGrad,
    QAMFace,
    RangeLoss,
    RegularFace,
    RingLoss,
    Softmax,
    SphereFace,
    SphereFace2,
    SphereFaceR,
    SubCenterArcFace,
    Triplet,
    UniFace,
    UniformFace,
    UniTSFace,
    X2Softmax,
)
from .schedules import Cosine, Decay, Linear

__version__ = "0.1.0"
# fmt: off
__all__ = [
    "AdaCos", "AdaFace", "ArcFace", "CenterLoss", "Circle", "CirclePair", "CombinedMargin", "Contrastive",
    "CosFace", "Cosine", "CurricularFace", "Decay", "DynArcFace", "ElasticFace", "InterFace", "InterLoss",
    "IntraLoss", "KappaFace", "LSoftmax", "LiArcFace", "Linear", "MVSoftmax", "MagFace", "MarginLoss", "NormFace",
    "P2SGrad", "PairHead", "PrototypeHead", "QAMFace", "RangeLoss", "RegularFace", "RingLoss", "Softmax",
    "SphereFace", "SphereFace2", "SphereFaceR", "SubCenterArcFace", "Triplet", "UniFace", "UniTSFace",
    "UniformFace", "X2Softmax", "diagnose",
]
# fmt: on
