"""The Lua scripts, as package data: constant texts. Nothing is ever pasted into one (security.md)."""
