"""The one Lua script of the `scoped` shape, as package data. Nothing is ever pasted into it (security.md)."""
