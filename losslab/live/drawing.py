"""Where the network of a run puts a digit that somebody drew."""

import base64
from typing import Any

import numpy as np
import torch
from torch import nn

from losslab.data.drawn import centred
from losslab.geometry import angle
from losslab.head import Head, PairHead


@torch.inference_mode()
def embedded(image: np.ndarray, model: nn.Module, head: Head) -> dict[str, Any]:
    """A drawing, uint8 [28 28], as JSON values: `image` as the network sees it (base64 of 784 bytes), `direction` [d]
    and `length` of its embedding, and for each class `angle_deg` to its nearest prototype, `gap` were it of that class,
    and `probability` (null for a loss of pairs, which has none).

    ValueError when nothing is drawn.
    """
    image = centred(image)
    embedding = model(torch.from_numpy(image)[None, None]).float()
    label = torch.arange(head.classes)
    seen = head.angles(embedding, label[:1])
    return {
        "image": base64.b64encode(image.tobytes()).decode(),
        "direction": seen.direction[0].tolist(),
        "length": seen.norm.item(),
        "angle_deg": angle(seen.cosine[0]).rad2deg().tolist(),
        "gap": head.gap(embedding.expand(head.classes, -1), label).tolist(),
        "probability": None if isinstance(head, PairHead) else head.logits(embedding)[0].softmax(0).tolist(),
    }
