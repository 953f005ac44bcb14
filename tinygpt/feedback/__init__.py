"""What people say of answers: shown two at a time, kept, and made into pairs to learn from.

Read in this order: store.py, pairs.py, server.py, agreement.py, export.py.
"""
