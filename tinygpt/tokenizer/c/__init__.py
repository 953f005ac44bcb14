"""The tokenizer's hot loops in portable C; build.py makes `_tokenizer`, compiled.py calls it."""
