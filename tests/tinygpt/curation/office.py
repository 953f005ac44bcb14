"""Files of office formats whose text is known, and hostile ones."""

import io
import zipfile
import zlib
from functools import lru_cache
from itertools import pairwise
from xml.sax.saxutils import escape

CONTENT = '<?xml version="1.0" encoding="UTF-8"?>'
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def zipped(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def docx(paragraphs):
    runs = ""
    for paragraph in paragraphs:
        middle = len(paragraph) // 2  # a word in two runs, as editors leave them
        halves = (paragraph[:middle], paragraph[middle:])
        runs += "<w:p><w:pPr/>" + "".join(
            f'<w:r><w:t xml:space="preserve">{escape(half)}</w:t></w:r>' for half in halves
        ) + "</w:p>"
    deleted = "<w:p><w:del><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p>"
    return zipped({
        "[Content_Types].xml": CONTENT + "<Types/>",
        "word/document.xml": f"{CONTENT}<w:document {W}><w:body>{runs}{deleted}</w:body>"
        "</w:document>",
    })


def epub(chapters):
    """Chapters in order, their files named in another."""
    names = [f"text/{len(chapters) - i} page.xhtml" for i in range(len(chapters))]
    items = "".join(
        f'<item id="i{i}" href="{name.replace(" ", "%20")}" media-type="application/xhtml+xml"/>'
        for i, name in enumerate(names)
    )
    spine = "".join(f'<itemref idref="i{i}"/>' for i in range(len(names)))
    members = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": f'{CONTENT}<container><rootfiles>'
        '<rootfile full-path="OPS/a.opf"/></rootfiles></container>',
        "OPS/a.opf": f"{CONTENT}<package><manifest>{items}</manifest><spine>{spine}</spine>"
        "</package>",
    }
    for name, paragraphs in zip(names, chapters, strict=True):
        body = "".join(f"<p>{escape(p)}</p>" for p in paragraphs)
        members[f"OPS/{name}"] = (
            f"{CONTENT}<!DOCTYPE html><html><head><title>t</title></head><body>{body}</body></html>"
        )
    return zipped(members)


def pdf(lines):
    """One page of lines in Helvetica, written by hand."""
    text = "BT /F1 11 Tf 50 780 Td 14 TL\n" + "".join(
        "({}) Tj T*\n".format(line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)"))
        for line in lines
    ) + "ET"
    packed = zlib.compress(text.encode("latin-1"))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(packed), packed),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    table += b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    return out + table + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1, start,
    )


@lru_cache
def bombs():
    """Name -> bytes of files that cost far more than they weigh."""
    zeros = b"<w:t>" + b"a" * (65 << 20)
    laughs = (
        CONTENT + '<!DOCTYPE l [<!ENTITY a "ha">'
        + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise("abcdefghi"))
        + "]><w:document>&i;</w:document>"
    )
    deep = "<a>" * 200_000
    return {
        "zip bomb.docx": zipped({"word/document.xml": zeros}),
        "laughs.docx": zipped({"word/document.xml": laughs}),
        "outside.docx": zipped({"word/document.xml": CONTENT + '<!DOCTYPE a SYSTEM "/etc/passwd">'
                                "<a/>"}),
        "deep.docx": zipped({"word/document.xml": deep}),
        "empty.docx": zipped({}),
        "climbs.epub": zipped({
            "META-INF/container.xml": '<c><rootfile full-path="../../etc/passwd"/></c>'
        }),
        "circle.epub": zipped({
            "META-INF/container.xml": '<c><rootfile full-path="a"/></c>',
            "a": '<p><item id="a" href="a" media-type="text/html"/>' + '<itemref idref="a"/>' * 9999
            + "</p>",
        }),
        "deep.html": b"<div>" * 100_000,
        "unclosed.html": b"<!--" * 50_000 + b"<" * 50_000,
        "numbers.html": b"&#99999999999;" * 10_000,
        "line.jsonl": b"[" * 100_000,
        "quotes.csv": b'a,text\n"' + b'x""' * 100_000,
        "hyphens.txt": b"a-\n" * 60_000,
        "spaces.txt": b" " * 1_000_000 + b"x",
        "feeds.txt": b"\f" * 100_000,
        "circle.pdf": pdf(["x"]).replace(b"/Kids[3 0 R]", b"/Kids[2 0 R]"),
        "none.pdf": b"%PDF-1.7\n%%EOF",
        "marks.txt": ("e" + "\u0301" * 100_000).encode(),
        "addresses.txt": ("a." * 40_000 + "@" + "a." * 40_000).encode(),
        "digits.txt": b"1 " * 100_000,
        "none.parquet": b"PAR1" + b"\xff" * 100 + b"PAR1",
    }
