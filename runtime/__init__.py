"""Helpers that are copied into emitted code when it uses them."""
