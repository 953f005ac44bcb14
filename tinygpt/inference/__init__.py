"""A trained model at work: sampling, decoding, writing, chat, scoring text."""
