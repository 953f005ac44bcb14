"""The book, for a browser and for notebooks, of the very Markdown that stands in docs/.

    tinygpt book --out site               a folder to be opened in a browser, with a search
    tinygpt book --notebooks notebooks    every chapter to be run cell by cell

No generator of sites is used: the Markdown is parsed by markdown-it and code is coloured by
pygments, both of which rich brings anyway. So a learner with the wheel alone has all of it, and no
page asks another machine for a font or a script.

Read next: pages.py (where the Markdown is), render.py (Markdown to HTML), site.py (the whole).
"""
