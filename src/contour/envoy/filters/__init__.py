"""HTTP filters, one file each, and `order`: the table that says where each stands and why.

In: settings. Out: `HttpFilter` messages, and the per-route configuration that switches a filter on for a route.
A file knows its own filter only; what stands beside it is the table's business.
"""
