"""Answers of a promised form: a regular expression, JSON, or JSON of a schema.

Read in this order: grammar.py (what a form is), regex.py and schema.py (where forms come from),
automaton.py (which byte may come next), constraint.py (which token).
"""

from tinygpt.structured.automaton import Automaton
from tinygpt.structured.constraint import Constraint, Vocabulary
from tinygpt.structured.grammar import FormError
from tinygpt.structured.regex import regex
from tinygpt.structured.schema import json_value, schema

__all__ = ["Automaton", "Constraint", "FormError", "Vocabulary", "json_value", "regex", "schema"]
