"""Items dealt out to ranks: the lines of one process, in its order."""

import pytest

from tinygpt.distributed.ranks import Ranks
from tinygpt.distributed.threads import together
from tinygpt.evaluation.dealt import Dealt, dealt
from tinygpt.evaluation.suite import Suite, evaluate
from tinygpt.evaluation.suites import Asked, find_suite
from tinygpt.training.group import ALONE


class Counting(Suite):
    """Items 0 to 9, the fourth of which is left out; notes who was asked."""

    kind = "written"

    def __init__(self):
        super().__init__("counting", {"items": "ten"})
        self.asked = []

    def __len__(self):
        return 10

    def lines(self, subject, done):
        for number in range(10):
            if f"{number}" not in done:
                self.asked.append(number)
                yield {"item": f"{number}", **({"left_out": "bad"} if number == 3 else {})}


@pytest.mark.parametrize("ranks", [2, 3, 11])
def test_each_rank_asks_its_share_and_all_get_every_line(ranks):
    def work(communicator):
        suite = Counting()
        done = ["2", "5"] if communicator.rank == 0 else []  # the first alone has the file
        lines = list(Dealt(suite, Ranks(communicator)).lines(None, done))
        return suite.asked, [line["item"] for line in lines]

    results = together(ranks, work)
    assert sorted(n for asked, _ in results for n in asked) == [0, 1, 3, 4, 6, 7, 8, 9]
    assert max(len(asked) for asked, _ in results) == -(-8 // ranks)
    assert all(items == ["0", "1", "3", "4", "6", "7", "8", "9"] for _, items in results)


def test_a_real_suite_has_the_same_results(plain):
    asked = Asked(None, size="small")
    right = evaluate(find_suite("copying", asked), plain)

    def work(communicator):
        return evaluate(dealt(find_suite("copying", asked), Ranks(communicator)), plain)

    for found in together(2, work):
        assert found.header == right.header and found.lines == right.lines


def test_one_process_asks_as_ever():
    suite = Counting()
    assert dealt(suite, ALONE) is suite and dealt(suite, None) is suite
