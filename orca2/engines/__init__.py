"""What turns requests into outcomes: vLLM on Ray, an endpoint over HTTP; and the Ray they run on.

Requests are rendered and keyed by the recipe; answers are kept by the store.
"""
