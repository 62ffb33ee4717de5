"""Templates: what they get, what they cannot do, and that their errors quote no value."""

import time

import pytest
from keywright.agent import subject
from keywright.agent.rendering import LARGEST, Broken, Needs, Rendering, Unheard
from keywright.agent.subject import Known, Subject

from tests.client.server import PASSWORD, credential

SECRET = "hunter2-a9c4"


def known(*, heard: float = 0.0) -> dict[Subject, Known]:
    now = time.time() - heard
    values: dict[str, object] = {"shop/KEY": SECRET, "shop/PORT": "5432", "shop/LIMITS": {"rows": 5, SECRET: 1}}
    found = {
        subject.value(name): Known(subject.value(name), {"name": name, "value": value}, '"1"', now, now)
        for name, value in values.items()
    }
    return found | {subject.credential("shop/db"): Known(subject.credential("shop/db"), credential(), '"7"', now, now)}


def render(source: str, needs: Needs | None = None, *, heard: float = 0.0) -> str:
    return Rendering(time.time).template("/etc/x", source).render(known(heard=heard), needs or Needs())


def test_values_and_credentials() -> None:
    needs = Needs()
    text = render(
        "{% set db = credential('shop/db') %}{{ db.username }} {{ db.password }} "
        "{{ db.host }}:{{ db.port }}/{{ db.database }} {{ db.url }} {{ value('shop/LIMITS').rows }} "
        "{% for e in db.entries %}{{ e.state }}{% endfor %}\n",
        needs,
    )
    assert text == f"shop_a {PASSWORD} db1:5432/shop postgresql://shop_a:{PASSWORD}@db1:5432/shop 5 live\n"
    assert needs.subjects == {subject.credential("shop/db"), subject.value("shop/LIMITS")}
    assert not needs.time


def test_what_a_branch_does_not_ask_for_is_not_needed() -> None:
    needs = Needs()
    assert (
        render("{% if value('shop/PORT') == '5432' %}yes{% else %}{{ value('shop/none') }}{% endif %}", needs) == "yes"
    )
    assert needs.subjects == {subject.value("shop/PORT")}


def test_what_is_unheard_is_told_and_noted() -> None:
    needs = Needs()
    with pytest.raises(Unheard) as caught:
        render("{{ value('shop/KEY') }}{{ value('other/X') }}{{ value('other/Y') }}", needs)
    assert caught.value.subject == subject.value("other/X")
    assert needs.subjects == {subject.value("shop/KEY"), subject.value("other/X")}


def test_age() -> None:
    needs = Needs()
    assert int(render("{% set x = value('shop/KEY') %}{{ age('shop/KEY') }}", needs, heard=90)) in (90, 91, 92)
    assert needs.time
    with pytest.raises(Broken, match="used before"):
        render("{{ age('shop/KEY') }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ credential.__globals__ }}",
        "{{ value.__code__ }}",
        "{{ credential('shop/db').__class__ }}",
        "{{ credential('shop/db').__init__.__globals__ }}",
        "{{ (credential('shop/db')|attr('__class__')) }}",
        "{{ self._TemplateReference__context }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ joiner.__init__.__globals__.os }}",
        "{{ namespace.__init__ }}",
        "{{ 'a'['format'](1) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '{:>1000000000}'['format_map']({}) }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 10 ** 1000000000 }}",
        "{{ [0] * 1000000000 }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ 'a'|center(1000000000) }}",
        "{{ 'a'|indent(1000000000) }}",
        "{{ range(1000000000)|list }}",
        "{{ lipsum(n=1000000) }}",
        "{% for i in range(99999) %}{% for j in range(50) %}a{% endfor %}{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}{{ os }}",
        "{% extends '/etc/passwd' %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ value('shop/LIMITS').update({'x': 1}) }}",
        "{{ value('../../tokens') }}",
        "{{ value(5) }}",
        "{{ nothing }}",
        "{{ value('shop/LIMITS').none }}",
        "{{ credential('shop/db').none }}",
        "{{ '\\ud800' }}",
    ],
)
def test_what_a_template_cannot_do(source: str) -> None:
    with pytest.raises(Broken) as caught:
        render(source)
    assert "/etc/x" in str(caught.value)


@pytest.mark.parametrize("source", ["{{ value( }}", "{% nothing %}", "{{ 'a'|nothing }}", "{% if %}", "\n\n{{"])
def test_what_is_no_template(source: str) -> None:
    with pytest.raises(Broken, match=r"/etc/x, line \d+: "):
        Rendering(time.time).template("/etc/x", source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ {}[value('shop/KEY')] }}",
        "{{ credential('shop/db')[value('shop/KEY')] }}",
        "{{ value('shop/KEY').nothing.nothing }}",
        "{{ value('shop/KEY') + 1 }}",
        "{{ value('shop/KEY') % 1 }}",
        "{{ value(value('shop/KEY') ~ '/../') }}",
        "{{ value('shop/KEY')|sum }}",
        "{{ value('shop/LIMITS')|toml }}",
        "{{ (value('shop/KEY') ~ '\\0')|shell }}",
        "{{ [value('shop/KEY')]|map(value('shop/KEY'))|list }}",
        "{{ [1]|map(attribute=value('shop/KEY'))|first }}",
        "{{ [1]|select(value('shop/KEY'))|list }}",
        "{{ dict(value('shop/KEY')) }}",
        "{{ ''|attr('_' ~ value('shop/KEY')) }}",
        "{{ range(value('shop/KEY')) }}",
        "{{ value('shop/KEY')() }}",
    ],
)
def test_errors_quote_no_value(source: str) -> None:
    with pytest.raises(Broken) as caught:
        render(source)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_value_is_never_asked_for_as_a_name() -> None:
    for source in ("{{ value(value('shop/KEY')) }}", "{{ credential('shop/' ~ value('shop/KEY')) }}"):
        needs = Needs()
        with pytest.raises(Broken, match="stands in the template"):
            render(source, needs)
        assert needs.subjects == {subject.value("shop/KEY")}
    assert render("{% for n in ['shop/KEY', 'shop/PORT'] %}{{ value(n) }}{% endfor %}") == SECRET + "5432"


def test_what_nobody_defines_is_found_without_rendering() -> None:
    with pytest.raises(Broken, match=r"^/etc/x, line 2: 'vaule' is not defined$"):
        Rendering(time.time).template("/etc/x", "vaule\n{% if value('a') %}{{ vaule('a') }}{% endif %}")
    Rendering(time.time).template("/etc/x", "{% for n in range(2) %}{% set x = n %}{{ loop.index }}{{ x }}{% endfor %}")


def test_errors_tell_the_line_and_a_name_of_the_template() -> None:
    with pytest.raises(Broken, match=r"^/etc/x, line 3: 'nothing' is not defined$"):
        render("a\nb\n{{ nothing }}\n")
    with pytest.raises(Broken, match=r"writes more than"):
        render("{% for i in range(9999) %}{{ value('shop/KEY') }}" + "a" * (LARGEST // 9000) + "{% endfor %}")
