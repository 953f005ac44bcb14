"""Other programs' models, read and written: Hugging Face's folders, GGUF files."""
