"""A sheet to draw on, kept as SVG text: what the figures of the book have in common.

Numbers are rounded to a tenth of a pixel, so that the same figure is the same bytes everywhere.
Colours follow the reader's light or dark setting by themselves, also inside an <img>.
"""

from __future__ import annotations

from html import escape

STYLE = """
svg{--card:#fff;--ink:#1c1d21;--soft:#5b5e68;--line:#d9d7d0;--a:#2866cf;--b:#b54a14;--c:#1b7a4b;
--pale:#dbe6fa;--warm:#fbe3d6}
@media(prefers-color-scheme:dark){svg{--card:#1c1e24;--ink:#ecedf1;--soft:#a9acb8;--line:#3a3e48;
--a:#7aa8ff;--b:#ff9863;--c:#5fd39b;--pale:#26385c;--warm:#553321}}
.page{fill:var(--card)}text{font:13px system-ui,sans-serif;fill:var(--ink)}
.soft{fill:var(--soft)}.small{font-size:11px}.bold{font-weight:600}.title{font-size:15px}
.line{stroke:var(--line);fill:none}.ink{stroke:var(--ink);fill:none;stroke-width:1.4}
.a{stroke:var(--a);fill:none;stroke-width:2}.b{stroke:var(--b);fill:none;stroke-width:2}
.c{stroke:var(--c);fill:none;stroke-width:2}.dash{stroke-dasharray:4 4}
.box{fill:var(--card);stroke:var(--ink)}.fa{fill:var(--a)}.fb{fill:var(--b)}.fc{fill:var(--c)}
.pale{fill:var(--pale)}.warm{fill:var(--warm)}.empty{fill:none;stroke:var(--line)}
.ta{fill:var(--a)}.tb{fill:var(--b)}.tc{fill:var(--c)}
"""


def number(value: float) -> str:
    """At most one digit after the point."""
    return f"{value + 0.0:.1f}".removesuffix(".0").replace("-0", "0") if abs(value) < 0.05 else (
        f"{value:.1f}".removesuffix(".0")
    )


class Canvas:
    """width, height: pixels.  title: what a screen reader says in place of the picture."""

    def __init__(self, width: int, height: int, title: str):
        self.width, self.height, self.title = width, height, title
        self.parts: list[str] = []

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        where = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self._add("text", kind, f'x="{number(x)}" y="{number(y)}"{where}', escape(words))

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "line") -> None:
        ends = zip(("x1", "y1", "x2", "y2"), (x1, y1, x2, y2), strict=True)
        self._add("line", kind, " ".join(f'{name}="{number(value)}"' for name, value in ends))

    def arrow(self, x1: float, y1: float, x2: float, y2: float, kind: str = "ink") -> None:
        """A line with a head at its second end."""
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        left = (x2 - 7 * ux - 4 * uy, y2 - 7 * uy + 4 * ux)
        right = (x2 - 7 * ux + 4 * uy, y2 - 7 * uy - 4 * ux)
        self.line(x1, y1, x2, y2, kind)
        self.path([left, (x2, y2), right], kind)

    def box(
        self, x: float, y: float, width: float, height: float, kind: str = "box", shade: float = 1.0
    ) -> None:
        """shade: how opaque, 0 to 1."""
        faint = "" if shade == 1 else f' fill-opacity="{shade:.2f}"'
        size = f'width="{number(width)}" height="{number(height)}"'
        self._add("rect", kind, f'x="{number(x)}" y="{number(y)}" {size}{faint}')

    def dot(self, x: float, y: float, radius: float, kind: str) -> None:
        self._add("circle", kind, f'cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"')

    def path(self, points: list[tuple[float, float]], kind: str) -> None:
        """A line through points."""
        corners = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self._add("polyline", kind, f'points="{corners}"')

    def _add(self, tag: str, kind: str, rest: str, inside: str | None = None) -> None:
        style = f'class="{kind}" ' if kind else ""
        end = "/>" if inside is None else f">{inside}</{tag}>"
        self.parts.append(f"<{tag} {style}{rest}{end}")

    def __str__(self) -> str:
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}"'
        head += f' width="{self.width}" height="{self.height}" role="img">'
        page = '<rect class="page" width="100%" height="100%"/>'
        lines = [f"{head}<title>{escape(self.title)}</title>", f"<style>{STYLE}</style>{page}"]
        return "\n".join([*lines, *self.parts, "</svg>", ""])
