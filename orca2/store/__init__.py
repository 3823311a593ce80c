"""Every answer that was ever paid for: written once, found by the content of its request, shared.

How an answer is made is the engines' affair.
"""
