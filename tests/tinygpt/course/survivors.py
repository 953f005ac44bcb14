"""Generated mutants that no check should kill, each with the reason: they compute the same."""

# exercise -> (what the changed line has in it, why nobody can see it)
REASONS: dict[str, tuple[tuple[str, str], ...]] = {
    "unbroadcast": (
        ("if (extra < 0 and", "what the line refuses, reshape refuses with a ValueError too"),
        ("-> pass", "what the line refuses, reshape refuses with a ValueError too"),
        ("->  pass", "what the line refuses, reshape refuses with a ValueError too"),
        ("keepdims=False", "reshape to the wanted shape follows"),
    ),
    "softmax": (
        ("neginf(peak), 1, peak)", "a row of only -inf: e^(-inf - 1) is 0 as well"),
        ("total == 0, 2, total)", "0 / 2 is 0 as well"),
    ),
    "*": (("reshape(-2", "NumPy takes any negative length for the rest"),),
    "attention-scores": (
        ("visible = (keys <= np.arange(Tq)", "the mask is all true before it"),
    ),
    "attention": (
        ("neginf(peak), 1, peak)", "a row of only -inf: e^(-inf - 1) is 0 as well"),
        ("total == 0, 2, total)", "0 / 2 is 0 as well"),
    ),
    "attention-gradient": (
        ("neginf(lse), 1, lse)", "a row of only -inf: e^(-inf - 1) is 0 as well"),
    ),
    "schedule": (("max(steps - warmup_steps, 2)", "one step left: progress is 0 either way"),),
    "top-p": (
        ("(count <= len(w))", "all of them are looked at either way"),
        ("(likeliest.sum(dtype=np.float64) > needed)", "one look more, the same answer"),
        ("[(count):]", "an empty sum falls short: all of them are looked at"),
        ("min(reached, (len(ordered)", "the last sum falls short by rounding alone: not drawn"),
        ("count *= 9", "how many more are looked at is a matter of speed"),
    ),
    "kv-ring": (("(end < places)", "a ring that is just full comes out the same both ways"),),
    "int8": (
        ("np.where(scale == 0, 1, 1 /", "a row below TINY rounds to 0 without a scale too"),
        ("np.where(scale == 1, 1, scale)", "1 / 0 is not chosen: the row's inverse is 0"),
        ("np.where(scale == 0, 2, scale)", "1 / 2 is not chosen: the row's inverse is 0"),
    ),
    "nf4": (
        ("np.where(scale == 1, 1, scale)", "0 / 0 is not chosen: the code is 7"),
        ("np.where(scale == 0, 2, scale)", "0 / 2 is not chosen: the code is 7"),
    ),
    "packing": (("del room[row]  ->  pass", "a full row takes nothing, and is the first to go"),),
    "split": (("round(13)", "0.8 + 0.1 differs from 0.9 in the 17th digit"),),
    "bigram": (
        ("np.append(pairs, -2)", "no pair has a negative number"),
        ("np.append(counts, 1)", "that place is compared with a pair first, and never equal"),
        ("searchsorted(pairs[:-2]", "the last pair's place is behind the others either way"),
    ),
    "logsumexp": (
        ("top, u.dtype.type(1))", "any finite shift does for a row of only -inf"),
        ("u.dtype.type(1), y)", "-inf less any finite number is -inf, and its exponential 0"),
    ),
    "jaccard": (
        ("or not len(b)", "nothing of an empty set is found in the other: 0 as well"),
        ("if len(a) > len(b)", "which is looked up in which is a matter of speed"),
    ),
    "bits": (
        ("np.round(ends, 7)", "an end is a whole byte but for rounding"),
        ("(count", "no token ends behind the text but by rounding"),
    ),
    "bootstrap": (
        ("rows = ", "how many are drawn at once is a matter of memory"),
        ("(RESAMPLES", "all are drawn at once here"),
        ("drawn[at : (rows)]", "all are drawn at once here"),
    ),
    "bleu": (("(length <= wanted)", "e^0 is 1"),),
    "gae": (
        ("counts.max() + 2", "a column more of what nobody reads"),
        ("-2, -1)", "one turn more, for a place that nobody reads"),
    ),
    "make-up": (("look((here)", "who looks does so at once, before anything moves"),),
    "make-up-faster": (("look((made", "who looks does so at once, before anything moves"),),
    "repetition": (
        ("break", "what does not stand there twice is not longer either: every later row is 0"),
        ("pass", "what does not stand there twice is not longer either: every later row is 0"),
        ("np.append(1, np", "the commonest stands there again, behind the beginning"),
        ("key = (ids", "another way to make one number of two that keeps all apart"),
    ),
    "cross-entropy-gradient": (
        ("(len(rows) <= len(targets))", "nothing is set to 0 where nothing is ignored"),
    ),
}


def reason(exercise: str, line: str) -> str:
    """Why a survivor, "before  ->  after", computes the same; "" if no reason is known."""
    known = (*REASONS.get(exercise, ()), *REASONS["*"])
    found = (why for part, why in known if part in line)
    return next(found, "")
