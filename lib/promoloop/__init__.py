"""Promoloop decides which promotion goes to whom, when, and proves what it earned."""

__version__ = "0.1.0"
