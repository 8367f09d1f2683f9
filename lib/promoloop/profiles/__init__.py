"""Profiles of users: what they will buy, whether they will, how they take prices and promotions, and which segment that makes them."""

from promoloop.profiles.history import History, recall
from promoloop.profiles.score import Champions, champions, score
from promoloop.profiles.segments import SEGMENTS
from promoloop.profiles.train import keep, train
from promoloop.profiles.trained import Trained

__all__ = ["SEGMENTS", "Champions", "History", "Trained", "champions", "keep", "recall", "score", "train"]
