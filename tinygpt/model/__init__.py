"""The model: language_model.py says what one can do, gpt.py is one, build.py makes it.

Read in this order: shape.py, gpt.py, transformer.py, block.py, cache.py, language_model.py,
encoder.py, encoder_decoder.py, classifier.py, build.py.
"""

from tinygpt.model.build import build
from tinygpt.model.cache import KVCache
from tinygpt.model.classifier import Classifier, HeadConfig
from tinygpt.model.encoder import Encoder
from tinygpt.model.encoder_decoder import EncoderDecoder, Reading
from tinygpt.model.gpt import GPT
from tinygpt.model.language_model import LanguageModel
from tinygpt.model.shape import ModelShape

__all__ = [
    "GPT", "Classifier", "Encoder", "EncoderDecoder", "HeadConfig", "KVCache", "LanguageModel",
    "ModelShape", "Reading", "build",
]
