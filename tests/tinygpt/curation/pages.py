"""Web pages whose text is known, among menus, teasers, comments and footers, in six layouts."""

import numpy as np

from tests.tinygpt.curation.folders import prose


def pages(count, seed=0):
    """(page, its text) of every layout in turn."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        text = prose(1000 * seed + number, sentences=int(rng.integers(12, 40)))
        paragraphs = text.split("\n\n")
        title = paragraphs[0].split(".")[0]
        body = LAYOUTS[number % len(LAYOUTS)](title, paragraphs, rng)
        head = f"<head><meta charset='utf-8'><title>{title} - The Site</title></head>"
        yield f"<!DOCTYPE html><html>{head}<body>{body}</body></html>", f"{title}\n\n{text}"


def links(rng, count, row="<li>{}</li>"):
    """A menu of some words each."""
    words = prose(int(rng.integers(1 << 20)), 40).split()
    return "".join(
        row.format(f"<a href='/{i}'>{' '.join(words[4 * i : 4 * i + rng.integers(1, 5)])}</a>")
        for i in range(count)
    )


def teasers(rng, count):
    """The beginnings of other articles, each a link and half a sentence."""
    made = (prose(int(rng.integers(1 << 20)), 3).split(".")[:2] for _ in range(count))
    return "".join(f"<div><a href='#'>{a}</a><p>{b[:60]} ...</p></div>" for a, b in made)


def _p(paragraphs):
    return "".join(f"<p>{one}</p>\n" for one in paragraphs)


def article(title, paragraphs, rng):
    return (f"<header><nav><ul>{links(rng, 7)}</ul></nav></header><main><article><h1>{title}</h1>"
            f"{_p(paragraphs)}</article></main><aside>{teasers(rng, 4)}</aside>"
            "<footer>All rights reserved</footer>")


def soup(title, paragraphs, rng):
    """No tag says what it is for."""
    return (f"<div class='c1'>{links(rng, 9, '<span>{}</span> | ')}</div><div><div><h2>{title}</h2>"
            + "".join(f"<div>{one}</div>" for one in paragraphs)
            + f"</div></div><div>{teasers(rng, 5)}</div><div>Share</div><div>Print</div>")


def table(title, paragraphs, rng):
    """As pages were laid out in 1999."""
    return (f"<table><tr><td width=150>{links(rng, 12, '{}<br>')}</td><td><h1>{title}</h1>"
            f"{_p(paragraphs)}</td></tr></table><center>Best viewed at 800 x 600</center>")


def blog(title, paragraphs, rng):
    said = "".join(
        f"<li><b>reader {i}</b> said: <span>{prose(int(rng.integers(1 << 20)), 1)[:50]}</span></li>"
        for i in range(4))
    return (f"<div id='sidebar'><h3>Archive</h3><ul>{links(rng, 10)}</ul></div><div class='post'>"
            f"<h1>{title}</h1>{_p(paragraphs)}</div><div id='comments'><ul>{said}</ul></div>")


def lines(title, paragraphs, rng):
    """One block, broken by <br>."""
    return (f"<ul class='menu'>{links(rng, 6)}</ul><h1>{title}</h1><div id='content'>"
            f"{'<br><br>'.join(paragraphs)}</div><p><a href='#'>Back to the top</a></p>")


def parts(title, paragraphs, rng):
    """With subheadings, a list and a link within the text."""
    half = len(paragraphs) // 2
    first, *rest = paragraphs[half:]
    word, _, others = first.partition(" ")
    return (f"<nav>{links(rng, 8, '{} ')}</nav><section><h1>{title}</h1>{_p(paragraphs[:half])}"
            f"<p><a href='/w'>{word}</a> {others}</p><ul>"
            + "".join(f"<li>{one}</li>" for one in rest)
            + f"</ul></section><div class='related'><h4>More</h4>{teasers(rng, 3)}</div>")


LAYOUTS = (article, soup, table, blog, lines, parts)
