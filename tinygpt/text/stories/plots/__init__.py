"""What can happen: each plot is a function of the teller, chosen with equal chance.

A plot changes the world only through the teller's actions, so that its words and the state agree.

Read next: things.py.
"""

from .boxes import gift, locked_box, tidy
from .friends import new_friend, quarrel, share
from .games import hide_and_seek, noise, race
from .helpers import cook, errand, hurt_animal
from .things import broken, lost, stuck, swap
from .weather import grow, storm

PLOTS = (
    lost, broken, stuck, swap, locked_box, tidy, gift, share, new_friend, quarrel, errand,
    hurt_animal, cook, storm, grow, hide_and_seek, noise, race,
)  # fmt: skip
__all__ = ["PLOTS"]
