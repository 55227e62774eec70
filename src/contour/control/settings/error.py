"""The one exception of this package."""

from __future__ import annotations


class SettingsError(Exception):
    """The configuration cannot be used; the text is for the user."""
