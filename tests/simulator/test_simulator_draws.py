from dataclasses import fields
from pathlib import Path

import numpy as np

from promoloop.simulator import draws
from promoloop.simulator.law import Law


def test_a_draw_depends_on_its_key_alone():
    keys = np.arange(1000)
    whole = draws.uniforms(7, "x", keys, 3)
    assert np.array_equal(draws.uniforms(7, "x", keys[::-1], 3)[::-1], whole)
    assert np.array_equal(draws.uniforms(7, "x", keys.reshape(10, 100), 3).ravel(), whole)
    assert draws.uniforms(7, "x", 41, 3)[0] == whole[41]


def test_seed_stream_and_every_key_change_the_draw():
    keys = np.arange(5000)
    whole = draws.uniforms(7, "x", keys, 0)
    for other in (
        draws.uniforms(8, "x", keys, 0),
        draws.uniforms(7, "y", keys, 0),
        draws.uniforms(7, "x", keys, 1),
        draws.uniforms(7, "x", 0, keys),
    ):
        assert abs(np.corrcoef(whole, other)[0, 1]) < 0.06


def test_uniforms_are_uniform_and_never_at_the_ends():
    found = draws.uniforms(1, "u", np.arange(200_000))
    assert 0 < found.min() < found.max() < 1
    assert np.abs(np.histogram(found, bins=20, range=(0, 1))[0] / 10_000 - 1).max() < 0.05


def test_moments_of_the_laws():
    keys = np.arange(200_000)
    normal, gamma = draws.normals(1, "n", keys), draws.gammas(0.9, 1, "g", keys)
    poisson = draws.poissons(np.full(len(keys), 2.5), draws.uniforms(1, "p", keys))
    geometric = draws.geometrics(4.0, draws.uniforms(1, "e", keys))
    assert abs(normal.mean()) < 0.01
    assert abs(normal.std() - 1) < 0.01
    assert abs(gamma.mean() - 1) < 0.01
    assert abs(gamma.var() - 1 / 0.9) < 0.03
    assert abs(poisson.mean() - 2.5) < 0.02
    assert abs(poisson.var() - 2.5) < 0.05
    assert abs(geometric.mean() - 4.0) < 0.06
    assert geometric.min() == 0


def test_the_docs_state_every_parameter_and_its_value():
    text = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
    for field in fields(Law):
        assert f"| `{field.name}` | {field.default} |" in text, field.name
