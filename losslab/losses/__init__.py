"""The losses, one file each. Dropping in a file is all that a new loss needs."""

from .adacos import AdaCos
from .adaface import AdaFace
from .arcface import ArcFace
from .base import CODES, FAMILIES, SMALL_SOURCE, Angles, Card, Loss, Memory, SoftmaxLoss
from .centerloss import CenterLoss
from .circle import Circle, CirclePair
from .code import code
from .combined import CombinedMargin
from .contrastive import Contrastive
from .cosface import CosFace
from .curricularface import CurricularFace
from .dynarcface import DynArcFace
from .elasticface import ElasticFace
from .interface import InterFace
from .interloss import InterLoss
from .intraloss import IntraLoss
from .kappaface import KappaFace
from .liarcface import LiArcFace
from .lsoftmax import LSoftmax
from .magface import MagFace
from .marginloss import MarginLoss
from .mvsoftmax import MVSoftmax
from .named import (
    bases,
    catalogue,
    kind,
    knobs,
    make,
    plain,
    settings,
    starting,
    steerable,
    steered,
    title,
    turned,
    wraps,
)
from .normface import NormFace
from .p2sgrad import P2SGrad
from .pairs import PairLoss, Pairs
from .qamface import QAMFace
from .rangeloss import RangeLoss
from .regularface import RegularFace
from .ringloss import RingLoss
from .softmax import Softmax
from .sphereface import SphereFace
from .sphereface2 import SphereFace2
from .spherefacer import SphereFaceR
from .subcenter import SubCenterArcFace
from .terms import Term
from .triplet import Triplet
from .uniface import UniFace
from .uniformface import UniformFace
from .unitsface import UniTSFace
from .written import read, written
from .x2softmax import X2Softmax

# fmt: off
__all__ = [
    "AdaCos", "AdaFace", "Angles", "ArcFace", "CODES", "Card", "CenterLoss", "Circle", "CirclePair",
    "CombinedMargin", "Contrastive", "CosFace", "CurricularFace", "DynArcFace", "ElasticFace", "FAMILIES",
    "InterFace", "InterLoss", "IntraLoss", "KappaFace", "LSoftmax", "LiArcFace", "Loss", "MVSoftmax", "MagFace",
    "MarginLoss", "Memory", "NormFace", "P2SGrad", "PairLoss", "Pairs", "QAMFace", "RangeLoss", "RegularFace",
    "RingLoss", "SMALL_SOURCE", "Softmax", "SoftmaxLoss", "SphereFace", "SphereFace2", "SphereFaceR",
    "SubCenterArcFace", "Term", "Triplet", "UniFace", "UniTSFace", "UniformFace", "X2Softmax", "bases", "catalogue",
    "code", "kind", "knobs", "make", "plain", "read", "settings", "starting", "steerable", "steered", "title", "turned",
    "wraps", "written",
]
# fmt: on
