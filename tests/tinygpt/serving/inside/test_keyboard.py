"""Every task of the screens with the keys alone, from where a page begins."""

import pytest

import tinygpt
from tests.tinygpt.serving.browser import CHROMIUM
from tests.tinygpt.serving.conftest import Room, make_served
from tests.tinygpt.serving.inside.test_kinds import make_kind
from tests.tinygpt.serving.inside.test_runs import SMALL
from tests.tinygpt.serving.inside.test_screens import DONE, faults, go
from tinygpt.serving.served import Served

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")
SCREEN = "document.querySelector('#screen').textContent"


@pytest.fixture(scope="module")
def room(tiny_text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys") / "run"
    tinygpt.train("S", folder, [
        f"data.source={tiny_text}", *SMALL, "training.steps=20", "training.eval_every=10",
        "training.sample_every=10", "training.history_every=10",
    ])
    run, = Served.open(str(folder), lambda text: None, {})
    found = Room([make_served("a"), run, make_kind("bert"), make_kind("t5")], train=True)
    yield found
    found.stop()


@pytest.fixture
def at(browser, room):
    """at(screen, ...): a screen, drawn, with the focus nowhere.  Whatever is done, without a fault.
    """
    def opened(screen, model="run", text="the cat sat", **more):
        go(browser, room, screen, model=model, text=text, **more)
        return browser

    yield opened
    assert faults(browser, room) == []


def drawn(keys, condition):
    keys.until(f"{DONE} && {condition}")


def test_1_another_screen(at):
    keys = at("tour")
    keys.tab("Lens")
    keys.enter()
    drawn(keys, "document.title.startsWith('Lens') && document.querySelector('.lens') !== null")


def test_2_a_stop_of_the_tour(at):
    keys = at("tour")
    keys.tab("Where it looks")
    keys.enter()
    drawn(keys, "document.title.startsWith('Attention')"
                " && document.querySelector('.grid') !== null")


def test_3_another_model_and_one_beside_it(at):
    keys = at("next")
    keys.tab("#model")
    keys.press("ArrowUp")
    drawn(keys, "location.hash.includes('model=a')")
    keys.tab("#beside")
    keys.press("ArrowDown")
    drawn(keys, "location.hash.includes('beside=run')"
                " && document.querySelectorAll('#screen > section').length == 2")


def test_4_an_earlier_checkpoint(at):
    keys = at("lens")
    keys.tab("#step")
    keys.press("Home")
    drawn(keys, "location.hash.includes('step=0')")
    assert keys.run("document.querySelector('#step-name').textContent") == "step 0"


def test_5_another_text(at):
    keys = at("tokens")
    keys.tab("#text")
    keys.press("End")
    keys.write(" on the mat")
    keys.tab("#go")
    keys.enter()
    drawn(keys, f"{SCREEN}.startsWith('22 tokens')")


def test_6_the_pieces_of_a_token_and_a_smaller_vocabulary(at):
    keys = at("tokens", model="a", text="The cat")
    keys.tab(".tok")
    keys.enter()
    assert "bytes" in keys.run(SCREEN) and keys.run("document.querySelector('.tree') !== null")
    keys.tab("[type=range][min='256']")
    keys.press("Home")
    keys.until(f"{SCREEN}.includes('256: 7 tokens')")


def test_7_what_else_could_have_stood_there_drawn_otherwise(at):
    keys = at("next")
    keys.tab("[type=number][max='2']")
    keys.press("ArrowDown")
    keys.tab("#model")  # a field counts once it is left
    drawn(keys, "location.hash.includes('temperature=0.9')")
    keys.tab("What comes next")
    keys.enter()
    assert keys.run("document.querySelectorAll('.bars .line').length") == 10


def test_8_a_guess_against_the_model(at):
    keys = at("next")
    keys.tab("Guess first: you against the model")
    keys.enter()
    keys.until("document.querySelector('#screen details select') !== null")
    keys.tab("[aria-label='What comes next?']")
    keys.press("ArrowDown")
    keys.tab("[min='5']")
    keys.press("ArrowRight")
    keys.tab("Guess")
    keys.enter()
    assert "bits; the model" in keys.run(SCREEN)
    assert keys.run("document.activeElement.tagName") == "SELECT"  # ready for the next


def test_9_a_head_its_cells_and_the_model_without_it(at):
    keys = at("attention")
    keys.tab("[aria-pressed=false]")
    keys.enter()
    drawn(keys, "document.querySelector('#screen h3').textContent == 'Layer 0, head 1'")
    keys.tab("[role=img]")
    keys.press("ArrowUp")
    assert "The row sums to 1." in keys.run(SCREEN)
    keys.tab("Switch this head off")
    keys.enter()
    drawn(keys, f"{SCREEN}.includes('without those')")
    keys.tab("Switch all on")
    keys.enter()
    drawn(keys, "!location.hash.includes('off')")


def test_10_the_table_of_a_picture(at):
    keys = at("attention")
    keys.tab("The numbers")
    keys.enter()
    keys.until("document.querySelector('figure table') !== null")
    assert keys.run("document.querySelectorAll('figure tbody tr').length") == 11


def test_11_what_a_layer_believed_and_the_head_that_wrote_it(at):
    keys = at("lens")
    keys.tab(".lens button")
    keys.enter()
    drawn(keys, "location.hash.includes('row=2')")
    keys.tab("layer 1 head 0")
    keys.enter()
    drawn(keys, "document.querySelector('#screen h3').textContent == 'Layer 1, head 0'")


def test_12_the_code_behind_a_number(at):
    keys = at("lens")
    keys.tab("lens_logits")
    keys.enter()
    keys.until("document.querySelector('#source').open")
    keys.press("Escape")
    keys.until("!document.querySelector('#source').open")
    assert keys.run("document.activeElement.textContent") == "lens_logits"


def test_13_the_neighbours_of_a_token(at):
    keys = at("embeddings")
    keys.tab("[type=number]")
    keys.press("ArrowUp")
    keys.tab("#model")
    drawn(keys, "location.hash.includes('token=1')")
    assert "Neighbours of" in keys.run(SCREEN)


def test_14_another_matrix(at):
    keys = at("weights")
    keys.tab("#screen select")
    keys.press("ArrowDown")
    drawn(keys, "location.hash.includes('matrix=')")


def test_15_another_hidden_token(at):
    keys = at("gaps", model="bert")
    keys.tab("[aria-pressed=true]")
    keys.tab(".tok")
    keys.enter()
    drawn(keys, "location.hash.includes('at=2')")


def test_16_who_looks_at_whom_in_a_pair(at):
    keys = at("attention", model="t5", written="tac")
    assert keys.run("document.querySelector('#screen select').value") == "cross"
    keys.tab("#screen select")
    keys.press("ArrowUp")
    drawn(keys, "location.hash.includes('half=source')")


def test_17_another_word_in_what_was_written(at):
    keys = at("write")
    keys.until(f"{SCREEN}.includes('The same seed writes the same')")
    keys.tab(".tok")
    keys.enter()
    keys.tab(".bars button")
    before = keys.run("location.hash")
    keys.enter()
    drawn(keys, f"location.hash != '{before}'")


def test_18_a_checkpoint_of_a_training(at):
    keys = at("training")
    keys.until(f"{SCREEN}.includes('step 10')")
    keys.tab("step 10")
    keys.enter()
    drawn(keys, "location.hash.includes('step=10') && document.title.startsWith('Next')")
