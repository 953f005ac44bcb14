"""Inputs come from a seed, and shrink to the simplest that still fails."""

import numpy as np

from tinygpt.course.draw import Draw, drawn, shrink


def numbers(draw):
    return [draw.integer(0, 100) for _ in range(draw.integer(0, 10))]


def test_the_same_seed_draws_the_same():
    assert drawn(numbers, 3, 20) == drawn(numbers, 3, 20)
    assert drawn(numbers, 3, 20) != drawn(numbers, 4, 20)


def test_the_first_input_is_the_simplest():
    assert drawn(numbers, 0, 1)[0][1] == []


def test_choices_make_the_same_input_again():
    for choices, made in drawn(numbers, 1, 30):
        assert numbers(Draw(given=choices)) == made


def test_a_failing_input_shrinks_to_the_smallest():
    choices, made = next(one for one in drawn(numbers, 0, 50) if any(n > 40 for n in one[1]))
    small = shrink(choices, lambda draw: any(n > 40 for n in numbers(draw)))
    assert numbers(Draw(given=small)) == [41]


def test_an_array_shrinks_in_shape_and_values():
    def make(draw):
        return draw.array(draw.shape(1, 3), draw.dtype())

    choices, _ = next(one for one in drawn(make, 0, 50) if (one[1] < 0).any())
    small = shrink(choices, lambda draw: bool((make(draw) < 0).any()))
    found = make(Draw(given=small))
    assert found.shape == (1,) and found.tolist() == [-1.0] and found.dtype == np.float32
