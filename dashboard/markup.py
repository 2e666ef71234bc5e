"""HTML for ``st.html``, where a word from outside can only ever be text."""

from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is HTML already; every other text is escaped when it is put into HTML."""

    __slots__ = ()


def tag(name: str, css_class: str, *inside: str, **attributes: str) -> Html:
    """An element of a class; what is inside is escaped unless it is ``Html``.

    Attributes that are empty are left out; ``aria_label`` is written ``aria-label``.

    >>> tag("div", "pm-name", "<b>Rex</b>")
    '<div class="pm-name">&lt;b&gt;Rex&lt;/b&gt;</div>'
    """
    named = {"class": css_class, **{key.replace("_", "-"): v for key, v in attributes.items()}}
    given = "".join(f' {key}="{escape(value)}"' for key, value in named.items() if value)
    return Html(f"<{name}{given}>{joined(inside)}</{name}>")


def joined(parts: Iterable[str]) -> Html:
    """The parts after one another."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def icon(name: str) -> Html:
    """A Material Symbol, from the font that Streamlit brings along."""
    return Html(f'<span class="pm-icon" aria-hidden="true" translate="no">{escape(name)}</span>')


def chip(icon_name: str, text: str, tone: str = "", title: str = "") -> Html:
    """A small label; ``tone`` colours it."""
    css_class = f"pm-chip pm-{tone}" if tone else "pm-chip"
    return tag("span", css_class, icon(icon_name), text, title=title)


def note(icon_name: str, text: str, tone: str = "", role: str = "") -> Html:
    """A sentence on a tinted ground."""
    css_class = f"pm-note pm-{tone}" if tone else "pm-note"
    return tag("div", css_class, icon(icon_name), tag("span", "", text), role=role)
