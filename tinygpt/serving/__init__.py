"""A model served to a room: programs speak OpenAI's API to it, people a page.

Read first: asked.py (what a client asks), then engine.py (how many are answered at once).
"""
