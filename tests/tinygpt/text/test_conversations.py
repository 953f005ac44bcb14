"""Conversations are read from every form that people keep them in, and faults have lines."""

import json

import pytest

from tinygpt.text.conversations import Message, asked, read_conversations
from tinygpt.text.files import DataError

PLAIN = [("user", "What is a cat?"), ("assistant", "An animal.")]


def said(conversation):
    return [(m.role, m.content) for m in conversation.messages]


def lines(path, *objects):
    path.write_text("".join(json.dumps(each) + "\n" for each in objects), encoding="utf-8")
    return path


OPENAI = {"messages": [{"role": "user", "content": "What is a cat?"},
                       {"role": "assistant", "content": "An animal."}]}
FORMS = {
    "messages": OPENAI,
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is "},
                                                        {"type": "text", "text": "a cat?"}]},
                           {"role": "assistant", "content": "An animal."}]},
    "sharegpt": {"conversations": [{"from": "human", "value": "What is a cat?"},
                                   {"from": "gpt", "value": "An animal."}]},
    "alpaca": {"instruction": "What is a cat?", "input": "", "output": "An animal."},
    "prompt": {"prompt": "What is a cat?", "completion": "An animal."},
    "prompt in messages": {"prompt": [{"role": "user", "content": "What is a cat?"}],
                           "completion": [{"role": "assistant", "content": "An animal."}]},
    "question": {"question": "What is a cat?", "answer": "An animal."},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_line_of_any_form_is_the_same_conversation(form, tmp_path):
    assert [said(c) for c in read_conversations(lines(tmp_path / "a.jsonl", form))] == [PLAIN]


def test_a_list_of_json_knows_the_line_of_each(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([FORMS["alpaca"], OPENAI], indent=1))
    found = read_conversations(path)
    assert [said(c) for c in found] == [PLAIN, PLAIN]
    assert [c.where.split(" of ")[0] for c in found] == ["line 2", "line 7"]


def test_a_table_with_line_ends_in_it_knows_where_rows_begin(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('question,answer\n"What\nis a cat?",An animal.\nWhat is a cat?,An animal.\n')
    first, second = read_conversations(path)
    assert said(first)[0] == ("user", "What\nis a cat?") and first.where.startswith("line 2 ")
    assert said(second) == PLAIN and second.where.startswith("line 4 ")
    (tmp_path / "a.tsv").write_text("instruction\toutput\nWhat is a cat?\tAn animal.\n")
    assert said(read_conversations(tmp_path / "a.tsv")[0]) == PLAIN


def test_a_folder_of_questions_and_answers(tmp_path):
    (tmp_path / "a.txt").write_text(
        "\nQ: What is a cat?\nA: An animal.\nQ: And\na dog?\nA: One too.\n\nIt barks.\n\n"
        "Question: Why?\nAnswer: Because.\n"
    )
    (tmp_path / "b.md").write_text("System: Be short.\nUser: Hi\nAssistant: Hello\n")
    long, short, other = read_conversations(tmp_path)
    assert said(long) == [*PLAIN, ("user", "And\na dog?"), ("assistant", "One too.\n\nIt barks.")]
    assert said(short) == [("user", "Why?"), ("assistant", "Because.")]
    assert short.where == f"line 10 of {tmp_path}/a.txt"
    assert said(other)[0] == ("system", "Be short.")


def test_alpacas_input_system_and_history(tmp_path):
    path = lines(tmp_path / "a.jsonl", {
        "instruction": "Add.", "input": "1 + 1", "output": "2", "system": "Be short.",
        "history": [["Hi", "Hello"]],
    })
    (found,) = read_conversations(path)
    assert found.messages == (
        Message("system", "Be short."), Message("user", "Hi"),
        Message("assistant", "Hello", learned=False), Message("user", "Add.\n\n1 + 1"),
        Message("assistant", "2"),
    )


def test_an_answer_of_weight_0_is_not_learned_from(tmp_path):
    turns = [*OPENAI["messages"], *OPENAI["messages"]]
    path = lines(tmp_path / "a.jsonl", {"messages": [turns[0], {**turns[1], "weight": 0},
                                                     *turns[2:]]})
    assert [m.learned for m in read_conversations(path)[0].messages] == [True, False, True, True]


def changed(role="user", content="What is a cat?", **more):
    return {"messages": [{"role": role, "content": content, **more}, OPENAI["messages"][1]]}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (changed("narrator"), 'has the role "narrator" in message 1. Known: user, assistant'),
        (changed(None), "has the role null"),
        (changed(content=""), "has an empty question (message 1)"),
        (changed(content=None), "has message 1 that is no text"),
        ({"prompt": "a", "completion": " \n"}, "has an empty answer (message 2)"),
        ({"messages": OPENAI["messages"][:1]}, "has no answer to learn from"),
        ({"messages": [*OPENAI["messages"], OPENAI["messages"][0]]}, "ends with a message of the"),
        ({"messages": OPENAI["messages"][1:]}, "has an answer to nothing"),
        ({"messages": []}, "has messages that are no list"),
        ({"messages": ["a"]}, "has a message 1 that is no object"),
        ({"text": "a"}, "holds text, which is no conversation"),
        ({"prompt": "a", "completion": "b", "history": [1]},
         "has a history that is no list of pairs"),
        ([], "is a list, not an object"),
    ],
)
def test_a_fault_is_said_with_its_line(line, what, tmp_path):
    path = lines(tmp_path / "a.jsonl", OPENAI, line)
    with pytest.raises(DataError) as error:
        read_conversations(path)
    assert str(error.value).startswith(f"line 2 of {path} {what}")


def test_all_faults_are_found_at_once_and_the_first_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("{\n" + json.dumps(OPENAI) + "\n" + "{}\n" * 7)
    with pytest.raises(DataError, match=r"line 1 of .*not JSON.*; line 3 .*, and 3 more\. Correct"):
        read_conversations(path)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("a.csv", "question,answer\na,b,c\n", "line 2 .* has more fields than its head line"),
        ("a.csv", "text\na\n", "line 2 .* holds text"),
        ("a.json", "{}", "is no JSON list"),
        ("a.json", '[\n{"a": }]', "line 2 .* is not JSON"),
        ("a.txt", "Hello\n", "line 1 .* is said by nobody"),
        ("a.txt", "\n", "has no conversations"),
        ("a.pdf", "x", "is no file of conversations"),
    ],
)
def test_what_is_no_conversation_at_all(name, text, what, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=what):
        read_conversations(tmp_path / name)


def test_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"there is no .*a\.jsonl"):
        read_conversations(tmp_path / "a.jsonl")
    assert said(asked(*[text for _, text in PLAIN])) == PLAIN
