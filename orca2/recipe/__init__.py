"""The recipe itself, as pure functions between row types: questions, prompts, requests, verdicts, conversations.

Nothing here starts an engine, asks the store or knows which folder a row lies in.
"""
