"""Language identification: taught by one Debian package of each language, examined on another.

Other authors wrote what it is examined on (debian-faq), and two languages are never taught. What
translators left in English counts for none: passages that share words in a row with the English
document are taken out. The packages are downloaded by apt-get into a scratch folder and unpacked
there; nothing is installed.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import time
from pathlib import Path

import click
import numpy as np

from tinygpt.curation import classifier, decontaminate
from tinygpt.curation.clean import clean
from tinygpt.curation.language import passages
from tinygpt.curation.readers.html import main_text

TAUGHT = {
    "en": "debian-reference-en", "de": "debian-reference-de", "fr": "debian-reference-fr",
    "it": "debian-reference-it", "ja": "debian-reference-ja", "pt": "debian-reference-pt",
    "zh": "debian-reference-zh-cn", "nl": "manpages-nl", "ru": "manpages-ru",
}
EXAM = {
    "en": "debian-faq", "de": "debian-faq-de", "fr": "debian-faq-fr", "it": "debian-faq-it",
    "ja": "debian-faq-ja", "pt": "debian-faq-pt", "zh": "debian-faq-zh-cn", "nl": "debian-faq-nl",
    "ru": "debian-faq-ru",
}
STRANGE = {"pl": "manpages-pl", "es": "debian-reference-es"}
ROFF = re.compile(r"^\.\S*\s?|\\f[A-Z(]|\\[-&e|]|\\\(..|\"", re.MULTILINE)
SHARED = 8  # words in a row with the English document: a passage was left untranslated
POLISH, LEAST_POLISH = "ąćęłńśźż", 0.02  # letters; a passage with fewer is a listing or English
OTHER_SCRIPT = 0.2  # of ru, ja and zh: a passage with fewer such letters was left untranslated
LEAST, MOST = 100, 1500  # characters of a line; passages of a language


def texts_of(folder: Path, package: str) -> list[str]:
    """The passages of a package, at least LEAST characters each."""
    place = folder / package
    if not place.is_dir():
        archives = list(folder.glob(f"{package}_*.deb"))
        if not archives:
            subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True)
            archives = list(folder.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(archives[0]), str(place)], check=True)
    found: list[str] = []
    other = package.endswith(("-ru", "-ja", "-zh-cn"))
    for path in sorted(place.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        name = path.name.removesuffix(".gz")
        if name.endswith((".html", ".htm")):
            text = main_text(data.decode("utf-8", "replace"))
        elif "/man/" in path.as_posix():
            text = ROFF.sub("", data.decode("utf-8", "replace"))
        else:
            continue
        found += [
            p for p in passages(clean(text)) if len(p) >= LEAST
            and not (other and sum(c > "\u0370" for c in p) < OTHER_SCRIPT * len(p))
        ]
    step = max(1, len(found) // MOST)
    return found[::step][:MOST]


def f1(truth: list[str], said: list[str | None], name: str) -> float:
    """Of one class."""
    right = sum(t == s == name for t, s in zip(truth, said, strict=True))
    return 2 * right / max(1, truth.count(name) + said.count(name))


def translated(english: list[str], texts: list[str]) -> list[str]:
    """The texts without those that repeat the English document."""
    items = decontaminate.Items(english, SHARED)
    return [text for text in texts if not items.touch(text)]


@click.command()
@click.option("--folder", default="/tmp/tinygpt-languages", help="Where packages are kept.")
@click.option("--peer", is_flag=True, help="Also py3langid, where it is installed.")
def command(folder, peer):
    """Macro-F1, refusals of languages never taught, and speed."""
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    examples = {name: texts_of(where, package) for name, package in TAUGHT.items()}
    started = time.perf_counter()
    model = classifier.train(examples)
    click.echo(
        f"taught {sum(map(len, examples.values())):,} passages of {len(TAUGHT)} languages in "
        f"{time.perf_counter() - started:.1f} s"
    )
    english = texts_of(where, EXAM["en"])
    exam = [("en", text) for text in english] + [
        (name, text) for name, package in EXAM.items() if name != "en"
        for text in translated(english, texts_of(where, package))
    ]
    truth = [name for name, _ in exam]
    started = time.perf_counter()
    said = [model(text)[0] for _, text in exam]
    seconds = time.perf_counter() - started
    size = sum(len(text.encode()) for _, text in exam) / 1e6
    scores = {name: f1(truth, said, name) for name in EXAM}
    click.echo(f"macro-F1 {np.mean(list(scores.values())):.4f} on {len(exam):,} passages  "
               + "  ".join(f"{name} {score:.3f}" for name, score in scores.items()))
    click.echo(f"refused of what was taught: {said.count(None) / len(said):.4f}")
    for name, package in STRANGE.items():
        texts = translated(examples["en"], texts_of(where, package))
        if name == "pl":
            texts = [text for text in texts
                     if sum(c in POLISH for c in text.lower()) >= LEAST_POLISH * len(text)]
        strange = [model(text)[0] for text in texts]
        click.echo(f"never taught, {name}: refused {strange.count(None) / len(strange):.3f}")
    click.echo(f"speed: {size / seconds:.2f} MB/s on one core, passages of 300 characters")
    joined = [" ".join(text for _, text in exam[i : i + 5]) for i in range(0, len(exam), 5)]
    started = time.perf_counter()
    for text in joined:
        model(text)
    seconds = time.perf_counter() - started
    click.echo(f"speed: {size / seconds:.2f} MB/s on one core, documents of 1,500 characters")
    if peer:
        import py3langid

        py3langid.set_languages(list(EXAM))
        said = [py3langid.classify(text)[0] for _, text in exam]
        click.echo(f"py3langid, held to these languages: macro-F1 "
                   f"{np.mean([f1(truth, said, name) for name in EXAM]):.4f}")
