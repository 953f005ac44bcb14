"""One operation from naive Python to C, rung by rung: where does the speed come from?

    python -m bench ladder matmul|attention|softmax|layernorm [--svg ladder.svg]

Every rung computes the same thing; each is a short function whose comment names the one idea that
makes it faster than the rung below. On its line stand its rate, its share of the roofline (the
fastest matrix product, or a copy, of the same minute) and its largest error against float64.

Read next: softmax.py (the shortest ladder), then matmul.py; runner.py measures, chart.py draws.
"""

from bench.ladder.runner import command

__all__ = ["command"]
