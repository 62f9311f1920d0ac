"""Clips by the likeness of their embeddings: index, neighbours, and how good they are."""

from cortexnet.retrieval.embeddings import build_index, embed_sound
from cortexnet.retrieval.evaluate import evaluate_index
from cortexnet.retrieval.index import Index

__all__ = ["Index", "build_index", "embed_sound", "evaluate_index"]
