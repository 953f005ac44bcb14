r"""What is done to every text before it is judged: the same letters, spaces and lines for all.

    letters       Unicode NFC, an e with an accent one character; mojibake by ftfy, if asked
    controls      gone, with zero-width marks and soft hyphens; "\f" counts as a page's end
    pages         lines at the edges of most pages (headers, footers, page numbers) are gone
    line ends     "exam-" + "ple" is "example", unless the text itself says "exam-ple" elsewhere
    leaders       dots from a title to the number of its page: one space
    spaces        every kind is " "; one inside a line, none at its end; indentation stays
    paragraphs    one blank line between them

Read next: rules/__init__.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

PAGES = 3  # with fewer nothing is called a header
EDGE = 2  # lines at the top and the bottom of a page that may be one
LONGEST = 60  # letters of a word that a line end broke, before it
OFTEN = 0.5  # share of the pages that a header stands on

# Controls but \t \n \f, marks of direction and width, soft hyphens, private use, what never is.
GONE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
CONTROLS = bytes(c for c in [*range(32), 127] if c not in b"\n\f")
BREAKS = re.compile("[\x85\u2028]")
SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
# As pii.py says: what is looked for first comes first. Letters that stand there as they are, as two
# spaces here, are found ten times as fast as repetitions of one, as in " {2,}".
INSIDE = re.compile(r"  (?<=\S  ) *")
LEADERS = re.compile(r"\.(?: *\.){7,} *")
BLANK = re.compile(r"\n\n\n+")
HYPHEN = re.compile(r"-\n(?<=\w-\n)[ ]*([^\W\d_]\w*)")
ENDING = re.compile(r"\w+\Z")
HYPHENATED = re.compile(r"\w+-\w+")
NUMBER = re.compile(r"\d+")
END_OF_TEXT = "<|endoftext|>"  # means the end of a document to a tokenizer, so none may say it


def clean(text: str, mojibake: bool = False) -> str:
    """The text as all others are written.  mojibake: also mend letters decoded wrongly (ftfy).

    Raises RuntimeError where ftfy is asked for and not installed.
    """
    if mojibake:
        text = _mended(text)
    text = text.replace("\t", "    ").replace("\x0b", "\n")
    if text.isascii():
        text = text.encode().translate(None, CONTROLS).decode()
    else:
        if not unicodedata.is_normalized("NFC", text):
            text = unicodedata.normalize("NFC", text)
        text = BREAKS.sub("\n", text).replace("\u2029", "\n\n")
        text = GONE.sub("", SPACES.sub(" ", text))
    text = text.replace(END_OF_TEXT, "")
    if "\f" in text:
        text = without_headers(text)
    text = LEADERS.sub(" ", text)
    if " \n" in text:
        text = "\n".join([line.rstrip(" ") for line in text.split("\n")])
    if "-\n" in text:
        text = joined(text)
    if "  " in text:
        text = INSIDE.sub(" ", text)
    return BLANK.sub("\n\n", text).strip("\n").rstrip()


def without_headers(text: str) -> str:
    """A text in pages ("\\f" between them) as one, without what stands at the edge of most.

    Numbers count as alike, so that "Page 3 of 9" and "Page 4 of 9" are one header.
    """
    pages = [page.strip("\n").split("\n") for page in text.split("\f")]
    counts: Counter[tuple[str, int]] = Counter()
    for lines in pages:
        counts.update({(_alike(lines[at]), at) for at in _edges(lines)})
    often = {
        key for key, n in counts.items() if key[0] and n >= max(PAGES, OFTEN * len(pages))
    }
    kept = []
    for lines in pages:
        gone = {at % len(lines) for at in _edges(lines) if (_alike(lines[at]), at) in often}
        kept.append("\n".join(line for i, line in enumerate(lines) if i not in gone).strip("\n"))
    return "\n".join(page for page in kept if page)


def _edges(lines: list[str]) -> list[int]:
    reach = min(EDGE, len(lines) // 2)
    return [*range(reach), *range(-reach, 0)]


def _alike(line: str) -> str:
    return NUMBER.sub("0", line.strip())


def joined(text: str) -> str:
    """Words that a line end broke, whole again.

    The hyphen stays where the text writes the word with one elsewhere, and before a capital.
    """

    found = list(HYPHEN.finditer(text))
    if not found:
        return text
    written = set(HYPHENATED.findall(text))
    made, at = [], 0
    for match in found:
        ending = ENDING.search(text[max(at, match.start() - LONGEST) : match.start()])
        first, second = ending[0] if ending else "", match[1]
        made.append(text[at : match.start()])
        at = match.start(1)
        if f"{first}-{second}" in written or second[0].isupper() or first.isdigit():
            made.append("-")
    return "".join(made) + text[at:]


def _mended(text: str) -> str:
    try:
        import ftfy
    except ImportError:
        raise RuntimeError(
            "reading.mojibake needs ftfy, which is not installed. Run `pip install ftfy`, or set "
            "it to false."
        ) from None
    mended: str = ftfy.fix_text(text, uncurl_quotes=False, fix_latin_ligatures=False)
    return mended
