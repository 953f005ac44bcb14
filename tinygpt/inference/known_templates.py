"""Chat templates by name, for a model that is taught to answer and brings none of its own.

    tinygpt    <|user|>What is a cat?<|end|><|assistant|>An animal.<|end|>
    chatml     as Qwen, SmolLM2 and others have it
    llama3     as Llama 3 has it
    plain      words and line ends, for a vocabulary that has no more than an end of text

A template is Jinja text (template_language.py), kept in a run as it is.

Read next: templates.py.
"""

from __future__ import annotations

from typing import NamedTuple

from tinygpt.runs.chat_form import OWN_TEMPLATE


class Known(NamedTuple):
    """template: Jinja text.  needs: special tokens that it is made of."""

    template: str
    needs: tuple[str, ...]


TEMPLATES = {
    "tinygpt": Known(OWN_TEMPLATE, ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")),
    "chatml": Known(
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
        "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        ("<|im_start|>", "<|im_end|>"),
    ),
    "llama3": Known(
        "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}"
        "<|end_header_id|>\n\n{{ message.content }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n"
        "{% endif %}",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    "plain": Known(
        "{{ bos_token }}{% for message in messages %}{% if message.role == 'assistant' %}"
        "Answer: {{ message.content }}{{ eos_token }}{% elif message.role == 'user' %}"
        "Question: {{ message.content }}\n{% else %}{{ message.content }}\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}Answer: {% endif %}",
        (),
    ),
}
