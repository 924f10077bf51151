"""A figure as text for LaTeX: `\\input` it where the preamble has `\\usepackage{pgf}`.

Its words are set by LaTeX, in the document's font. How much room they take is measured here as in every other kind, so
no LaTeX is needed to write it, and the same figure makes the same text on every machine.
"""

import io
from typing import Any

from matplotlib.backends.backend_pgf import RendererPgf
from matplotlib.figure import Figure

SPECIAL = {
    "\\": r"\textbackslash{}",
    **{each: f"\\{each}" for each in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
SIGNS = {
    **{each: each for each in "<>|"},  # which the fonts that LaTeX begins with have as ¡, ¿ and —
    "−": "-", "°": r"^{\circ}", "×": r"\times", "·": r"\cdot", "±": r"\pm", "→": r"\to", "≈": r"\approx",
    "∂": r"\partial",
    "‖": r"\Vert", "≤": r"\le", "≥": r"\ge", "∞": r"\infty", "√": r"\surd", "⟂": r"\perp", "∇": r"\nabla", "∈": r"\in",
    "½": r"\frac{1}{2}", "²": "^{2}", "³": "^{3}", "¹": "^{1}", "⁰": "^{0}", "⁻": "^{-}", "≠": r"\ne",
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "η": r"\eta", "θ": r"\theta",
    "κ": r"\kappa", "λ": r"\lambda", "μ": r"\mu", "π": r"\pi", "ρ": r"\rho",
    "σ": r"\sigma", "τ": r"\tau", "φ": r"\varphi",
    "ψ": r"\psi", "ω": r"\omega", "Δ": r"\Delta", "Σ": r"\Sigma", "Ω": r"\Omega", "ẑ": r"\hat{z}", "ŷ": r"\hat{y}",
    "ᵢ": "_{i}", "ⱼ": "_{j}", "…": r"\ldots",
    **{low: f"_{{{i}}}" for i, low in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{high: f"^{{{i}}}" for i, high in enumerate("⁴⁵⁶⁷⁸⁹", 4)},
}  # fmt: skip
HAT = "\N{COMBINING CIRCUMFLEX ACCENT}"


def latex(text: str) -> str:
    """Words for LaTeX: what it would take for a command is escaped, and letters that its fonts lack are formulas."""
    said = []
    for i, sign in enumerate(text):
        if sign == HAT:
            continue
        if text[i + 1 : i + 2] == HAT:
            said.append(rf"\ensuremath{{\hat{{{SIGNS.get(sign, sign)}}}}}")
        elif sign in SIGNS:
            said.append(rf"\ensuremath{{{SIGNS[sign]}}}")
        else:
            said.append(SPECIAL.get(sign, sign))
    return "".join(said)


class Renderer(RendererPgf):
    """Matplotlib's, but that it measures words without LaTeX, and that they are words and not LaTeX already."""

    def draw_text(self, gc: Any, x: float, y: float, s: str, *rest: Any, **more: Any) -> None:
        super().draw_text(gc, x, y, latex(s), *rest, **more)

    def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> tuple[float, float, float]:
        return self.figure.canvas.get_renderer().get_text_width_height_descent(s, prop, ismath)


def written(figure: Figure, metadata: dict[str, Any]) -> bytes:
    """The figure, as text in UTF-8; what is known of it stands in comments above it."""
    out = io.StringIO()
    for name, value in metadata.items():
        if value:
            out.write(f"%% {name}: {' '.join(str(value).split())}\n")
    out.write("%% \\usepackage{pgf} in the preamble, then \\input this file where the figure is to be.\n")
    wide, high = figure.get_size_inches()
    out.write("\\begingroup%\n\\makeatletter%\n\\begin{pgfpicture}%\n")
    out.write(f"\\pgfpathrectangle{{\\pgfpointorigin}}{{\\pgfqpoint{{{wide:f}in}}{{{high:f}in}}}}%\n")
    out.write("\\pgfusepath{use as bounding box, clip}%\n")
    figure.draw(Renderer(figure, out))
    out.write("\\end{pgfpicture}%\n\\makeatother%\n\\endgroup%\n")
    return out.getvalue().encode()
