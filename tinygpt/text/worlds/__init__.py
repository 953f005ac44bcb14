"""Stories of a world that a file describes, in the words of any language, and what to ask of them.

Most languages have no corpus. Whoever writes a page of TOML (swahili.toml is one) has a first
exercise in theirs: text as long as they like in which something is told and kept to, and two sets
of questions whose right answers are known by construction:

    facts      what holds in all of the text: told in statements, never asked there
    reading    what has become of things in stories that the text does not have

    world = find_world("swahili")
    telling = Telling(world, seed=0)
    for paragraph in telling.text(2_000_000): ...       bytes
    telling.facts(), telling.reading(500)               what to ask whoever learned it

The English stories (../stories) are told by a program that knows English; here the file brings the
sentences, and each form of a word that they need.

Read next: file.py, state.py, telling.py.
"""

from tinygpt.text.worlds.file import World as World
from tinygpt.text.worlds.file import WorldError as WorldError
from tinygpt.text.worlds.file import find_world as find_world
from tinygpt.text.worlds.file import read_world as read_world
from tinygpt.text.worlds.telling import Telling as Telling
