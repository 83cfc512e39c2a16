"""Chat templates in the forms of the real families: system, user, assistant and tool turns, and images.

Each takes the content of a message as a string or as a list of `text` and `image` blocks. ChatML, Llama and Mistral
list the tools of a request as well, so that tool calls can be tried with them.
"""

from __future__ import annotations

_CONTENT = """\
{%- macro content(message) -%}
{%- if message.content is string -%}{{- message.content -}}
{%- elif message.content -%}{%- for block in message.content -%}
{%- if block.type == "text" -%}{{- block.text -}}
{%- elif block.type == "image" -%}IMAGE
{%- else -%}{{- raise_exception("a block of type " ~ block.type ~ " is not taken; give text or image") -}}
{%- endif -%}
{%- endfor -%}{%- endif -%}
{%- endmacro -%}
"""

_SYSTEM = """\
{%- if messages and messages[0].role == "system" -%}
{%- set system = content(messages[0]) -%}{%- set turns = messages[1:] -%}
{%- else -%}
{%- set system = "" -%}{%- set turns = messages -%}
{%- endif -%}
"""

_CHATML = """\
{%- if tools -%}
{{- "<|im_start|>system\n" ~ (system ~ "\n\n" if system) -}}
{{- "# Tools\n\nCall a function with a JSON object of its name and arguments between <tool_call> and </tool_call>." -}}
{{- "\n<tools>" -}}
{%- for tool in tools -%}{{- "\n" ~ tool | tojson -}}{%- endfor -%}
{{- "\n</tools><|im_end|>\n" -}}
{%- elif system -%}
{{- "<|im_start|>system\n" ~ system ~ "<|im_end|>\n" -}}
{%- endif -%}
{%- for message in turns -%}
{%- if message.role == "tool" -%}
{{- "<|im_start|>user\n<tool_response>\n" ~ content(message) ~ "\n</tool_response><|im_end|>\n" -}}
{%- else -%}
{{- "<|im_start|>" ~ message.role ~ "\n" ~ content(message) -}}
{%- for call in message.tool_calls or [] -%}
{%- set function = call.function or call -%}
{{- "\n" if content(message) or not loop.first -}}
{{- '<tool_call>\n{"name": "' ~ function.name ~ '", "arguments": ' -}}
{{- (function.arguments if function.arguments is string else function.arguments | tojson) ~ "}\n</tool_call>" -}}
{%- endfor -%}
{{- "<|im_end|>\n" -}}
{%- endif -%}
{%- endfor -%}
{{- "<|im_start|>assistant\n" if add_generation_prompt -}}
"""

_GEMMA = """\
{{- bos_token -}}
{%- for message in turns -%}
{%- if (message.role == "user") != (loop.index0 % 2 == 0) -%}
{{- raise_exception("turns of user and assistant have to alternate") -}}
{%- endif -%}
{{- "<start_of_turn>" ~ ("model" if message.role == "assistant" else message.role) ~ "\n" -}}
{{- system ~ "\n\n" if loop.first and system -}}
{{- content(message) | trim ~ "<end_of_turn>\n" -}}
{%- endfor -%}
{{- "<start_of_turn>model\n" if add_generation_prompt -}}
"""

_LLAMA = """\
{{- bos_token -}}
{%- if system or tools -%}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" ~ system -}}
{%- if tools -%}
{{- "\n\nCall a function with a JSON object of its name and parameters." -}}
{%- for tool in tools -%}{{- "\n" ~ tool | tojson -}}{%- endfor -%}
{%- endif -%}
{{- "<|eot_id|>" -}}
{%- endif -%}
{%- for message in turns -%}
{{- "<|start_header_id|>" ~ ("ipython" if message.role == "tool" else message.role) ~ "<|end_header_id|>\n\n" -}}
{%- for call in message.tool_calls or [] -%}
{%- set function = call.function or call -%}
{{- '{"name": "' ~ function.name ~ '", "parameters": ' -}}
{{- (function.arguments if function.arguments is string else function.arguments | tojson) ~ "}" -}}
{%- endfor -%}
{{- content(message) | trim ~ "<|eot_id|>" -}}
{%- endfor -%}
{{- "<|start_header_id|>assistant<|end_header_id|>\n\n" if add_generation_prompt -}}
"""

_MISTRAL = """\
{{- bos_token -}}
{{- "[SYSTEM_PROMPT]" ~ system ~ "[/SYSTEM_PROMPT]" if system -}}
{{- "[AVAILABLE_TOOLS]" ~ tools | tojson ~ "[/AVAILABLE_TOOLS]" if tools -}}
{%- for message in turns -%}
{%- if message.role == "user" -%}{{- "[INST]" ~ content(message) ~ "[/INST]" -}}
{%- elif message.role == "tool" -%}{{- "[TOOL_RESULTS]" ~ content(message) ~ "[/TOOL_RESULTS]" -}}
{%- else -%}
{{- content(message) -}}
{%- for call in message.tool_calls or [] -%}
{%- set function = call.function or call -%}
{{- '[TOOL_CALLS][{"name": "' ~ function.name ~ '", "arguments": ' -}}
{{- (function.arguments if function.arguments is string else function.arguments | tojson) ~ "}]" -}}
{%- endfor -%}
{{- eos_token -}}
{%- endif -%}
{%- endfor -%}
"""

_PHI = """\
{{- "<|system|>\n" ~ system ~ "<|end|>\n" if system -}}
{%- for message in turns -%}
{{- "<|" ~ message.role ~ "|>\n" ~ content(message) ~ "<|end|>\n" -}}
{%- endfor -%}
{{- "<|assistant|>\n" if add_generation_prompt else eos_token -}}
"""

_LLAVA = """\
{{- bos_token -}}
{{- system ~ " " if system -}}
{%- for message in turns -%}
{{- message.role | upper ~ ": " ~ content(message) ~ (eos_token if message.role == "assistant" else " ") -}}
{%- endfor -%}
{{- "ASSISTANT:" if add_generation_prompt -}}
"""


def _template(body: str, image: str) -> str:
    shown = repr(image) if image else 'raise_exception("this model sees no images")'
    return (_CONTENT + _SYSTEM + body).replace("IMAGE", "{{- " + shown + " -}}")


def chatml(image: str = "") -> str:
    """Return the template of Qwen and InternVL, with what stands for an image."""
    return _template(_CHATML, image)


def gemma(image: str = "") -> str:
    """Return the template of Gemma, which puts a system message in front of the first user message."""
    return _template(_GEMMA, image)


def llama(image: str = "") -> str:
    """Return the template of Llama 3."""
    return _template(_LLAMA, image)


def mistral(image: str = "") -> str:
    """Return the template of Mistral's instruction-tuned models."""
    return _template(_MISTRAL, image)


def phi() -> str:
    """Return the template of Phi-3."""
    return _template(_PHI, "")


def llava(image: str) -> str:
    """Return the template of LLaVA 1.5."""
    return _template(_LLAVA, image)
