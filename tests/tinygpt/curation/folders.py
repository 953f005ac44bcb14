"""Folders of documents for the tests of curation."""

import gzip
import json
from collections import Counter

from numpy.random import default_rng

WORDS = (
    "the of and to in that was with river garden letter morning window harbour lantern silver "
    "market winter bridge sister captain orchard thunder violin pepper castle feather meadow "
    "carried opened followed answered painted crossed gathered believed counted whispered"
).split()


def prose(seed, sentences=12, words=11):
    """A text of sentences, no two seeds alike, that every rule lets pass."""
    rng = default_rng(seed)
    said = []
    for _ in range(sentences):
        chosen = rng.choice(WORDS, words, p=_weights())
        said.append(" ".join([str(chosen[0]).capitalize(), *map(str, chosen[1:])]) + ".")
    rows = [" ".join(said[i : i + 3]) for i in range(0, sentences, 3)]
    return "\n\n".join(rows)


def f1(found, expected):
    """Of words, in any order."""
    a, b = Counter(found.split()), Counter(expected.split())
    both = sum((a & b).values())
    return 2 * both / (sum(a.values()) + sum(b.values()))


def _weights():
    common = [3.0] * 8 + [1.0] * (len(WORDS) - 8)
    return [weight / sum(common) for weight in common]


def mixed(root):
    """A folder with a file for most readers, and what no reader takes."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "sub").mkdir()
    (root / "a.txt").write_text(prose(1), encoding="utf-8")
    (root / "sub/copy of a.txt").write_text(prose(1), encoding="utf-8")
    (root / "old.txt").write_bytes((prose(2) + "\nUn café à la crème.").encode("cp1252"))
    (root / "wide.md").write_bytes(prose(3).encode("utf-16-le"))
    (root / "short.txt").write_text("Too short to learn from.")
    (root / "binary.txt").write_bytes(bytes(range(256)) * 8)
    (root / "photo.png").write_bytes(b"\x89PNG" * 9)
    (root / ".hidden.txt").write_text("hidden")
    (root / "z.txt.gz").write_bytes(gzip.compress(prose(4).encode(), mtime=0))
    rows = [json.dumps({"text": prose(seed)}) for seed in range(10, 60)]
    (root / "dump.jsonl").write_text("\n".join([*rows, "{broken", ""]), encoding="utf-8")
    cells = ['"' + prose(seed) + '"' for seed in (70, 71)]
    (root / "table.csv").write_text("id,text\n" + "".join(f"1,{c}\n" for c in cells))
    menu = "".join(f"<li><a href=/{i}>A link to page {i}</a></li>" for i in range(9))
    paragraphs = "".join(f"<p>{p}</p>" for p in prose(80).split("\n\n"))
    (root / "page.html").write_text(
        f"<html><head><title>t</title></head><body><nav>{menu}</nav><ul>{menu}</ul>"
        f"<h1>A title</h1>{paragraphs}<div>Share</div><footer>All rights reserved</footer>"
    )
    return root
