"""Markdown to HTML: headings that can be linked to, coloured code, links that stay in the book.

A link to a page of the book becomes one to its HTML, a link to a file of the code one to that
file's own page (site.py), and a link to what is not installed becomes plain text.

Read next: site.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # loaded when a page is made: a server without readers needs neither
    from markdown_it.token import Token

Resolve = Callable[[str], str | None]  # a link's target -> what it is here, None for nowhere
LEXERS = {"python": "pycon", "sh": "bash", "text": "text", "json": "json", "toml": "toml"}
FILES = {".py": "python", ".c": "c", ".h": "c", ".toml": "toml", ".json": "json", ".md": "markdown"}


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def coloured(code: str, language: str) -> str:
    """Code as spans of pygments's classes, for <pre>."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name

    return highlight(code, get_lexer_by_name(language), HtmlFormatter(nowrap=True))


def block(code: str, language: str) -> str:
    """A block that a keyboard can scroll."""
    return f'<pre tabindex="0"><code>{coloured(code, language)}</code></pre>\n'


def to_html(markdown: str, resolve: Resolve) -> str:
    """The page's inside."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    parser.add_render_rule("fence", _fence)
    parser.add_render_rule("code_block", _code)
    parser.add_render_rule("table_open", lambda *_: '<div class="wide" tabindex="0"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = parser.parse(markdown)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if before is not None and before.type == "heading_open":
            before.attrSet("id", slug(_plain(token)))
        if token.children:
            token.children = _linked(token.children, resolve)
    return str(parser.renderer.render(tokens, parser.options, {}))


def _fence(_: Any, tokens: Sequence[Token], index: int, *others: Any) -> str:
    token = tokens[index]
    return block(token.content, LEXERS.get(token.info.strip(), "text"))


def _code(_: Any, tokens: Sequence[Token], index: int, *others: Any) -> str:
    return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'


def _plain(token: Token) -> str:
    """A heading's words."""
    return "".join(child.content for child in token.children or ())


def _linked(children: list[Token], resolve: Resolve) -> list[Token]:
    """Links and pictures led to where they are here."""
    kept, open_links = [], []
    for child in children:
        if child.type == "link_open":
            target = resolve(str(child.attrGet("href")))
            open_links.append(target is not None)
            if target is None:
                continue
            child.attrSet("href", target)
        elif child.type == "link_close" and not open_links.pop():
            continue
        elif child.type == "image":
            child.attrSet("src", resolve(str(child.attrGet("src"))) or "")
        kept.append(child)
    return kept
