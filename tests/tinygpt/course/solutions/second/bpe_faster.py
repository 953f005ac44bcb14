from tinygpt.tokenizer.naive import replace


def encode(word, merges):
    ranks = dict(zip(merges, range(len(merges)), strict=True))
    while True:
        there = [ranks[pair] for pair in zip(word, word[1:], strict=False) if pair in ranks]
        if not there:
            return list(word)
        word = replace(word, merges[min(there)], 256 + min(there))
