"""Figures of papers: one file a figure, each over any losses and any recipe."""

from .base import Figure, Trained, catalogue

__all__ = ["Figure", "Trained", "catalogue"]
