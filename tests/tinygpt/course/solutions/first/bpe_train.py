from tinygpt.tokenizer.naive import replace


def train(words, n_merges):
    merges = []
    for number in range(n_merges):
        counts = {}
        for word in words:
            for i in range(len(word) - 1):
                pair = word[i], word[i + 1]
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            return merges
        most = max(counts.values())
        best = min(pair for pair, count in counts.items() if count == most)
        merges.append(best)
        words = [replace(word, best, 256 + number) for word in words]
    return merges
