"""How near a written text comes to a wanted one.

    exact_match, f1          the same words, or their overlap
    bleu, chrf, chrf(words=2)    n-grams of words, of characters, of both
    rouge_n, rouge_l, rouge_lsum     what of the wanted text is there
    pass_at_k                whether one of k programs does what it should

All count one text against one or more wanted texts and lie between 0 and 1 (BLEU and chrF between 0
and 100, as they are printed everywhere). They equal sacrebleu and rouge-score (tests/optional/
test_metrics.py), but for ROUGE's words, which here are words of any script: rouge-score keeps
[a-z0-9] alone, and calls Hindi equal to Hindi 0.

Read in this order: words.py, overlap.py, bleu.py, chrf.py, rouge.py, attempts.py.
"""

from tinygpt.evaluation.metrics.attempts import pass_at_k
from tinygpt.evaluation.metrics.bleu import bleu, corpus_bleu
from tinygpt.evaluation.metrics.chrf import chrf, corpus_chrf
from tinygpt.evaluation.metrics.overlap import exact_match, f1
from tinygpt.evaluation.metrics.rouge import rouge_l, rouge_lsum, rouge_n

__all__ = [
    "bleu", "chrf", "corpus_bleu", "corpus_chrf", "exact_match", "f1", "pass_at_k", "rouge_l",
    "rouge_lsum", "rouge_n",
]
