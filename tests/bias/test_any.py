"""A potential of one's own: certified, the point other routes find, refused where its maps do not fit."""

import numpy as np
import pytest
from scipy.optimize import minimize

from lib import bias, flows, problems
from lib.potentials import HyperbolicEntropy


class Power:
    """‖β‖_p^p/p."""

    def __init__(self, p):
        self.p = p

    def value(self, beta):
        return (np.abs(beta) ** self.p).sum(-1) / self.p

    def mirror(self, beta):
        return np.sign(beta) * np.abs(beta) ** (self.p - 1)

    def inverse_mirror(self, z):
        return np.sign(z) * np.abs(z) ** (1 / (self.p - 1))

    def conjugate(self, z):
        q = self.p / (self.p - 1)
        return (np.abs(z) ** q).sum(-1) / q


class LogCosh:
    """Σ log cosh β."""

    domain = (-1.0, 1.0)

    def value(self, beta):
        size = np.abs(beta)
        return (size + np.log1p(np.exp(-2 * size)) - np.log(2)).sum(-1)

    def mirror(self, beta):
        return np.tanh(beta)

    def inverse_mirror(self, z):
        return np.arctanh(z)

    def conjugate(self, z):
        return (z * np.arctanh(z) + 0.5 * np.log1p(-z * z)).sum(-1)


class Deep:
    """The network w₊ᴸ − w₋ᴸ, w±(0) = α: β = 2αᴸ coshᵖu sinh pu, z = α^{2−L} tanh u/L(L−2), p = L/(L−2)."""

    def __init__(self, depth, alpha):
        self.depth, self.alpha = depth, alpha
        self.edge, self.p = alpha ** (2 - depth) / (depth * (depth - 2)), depth / (depth - 2)
        self.domain = (-self.edge, self.edge)

    def inverse_mirror(self, z):
        u = np.arctanh(np.asarray(z) / self.edge)
        return 2 * self.alpha**self.depth * np.cosh(u) ** self.p * np.sinh(self.p * u)

    def mirror(self, beta):
        aim = np.log(np.maximum(np.abs(beta), 1e-300) / (2 * self.alpha**self.depth))
        small = np.exp(np.minimum(aim, 0)) / self.p
        u = np.where(aim < 0, small, (np.maximum(aim, 0) + (self.p + 1) * np.log(2)) / (2 * self.p))
        for _ in range(50):  # Newton on p log cosh u + log sinh pu = log(|β|/2αᴸ)
            p, log2 = self.p, np.log(2)
            found = p * (u + np.log1p(np.exp(-2 * u)) - log2) + p * u + np.log(-np.expm1(-2 * p * u)) - log2
            after = u - (found - aim) / (p * np.tanh(u) + p / np.tanh(p * u))
            u = np.where(after > 0, after, u / 2)
        return np.where(np.asarray(beta) == 0, 0.0, np.sign(beta) * self.edge * np.tanh(u))

    def conjugate(self, z):
        weights = [(1 - sign * z / self.edge) ** (-2 / (self.depth - 2)) for sign in (1, -1)]
        return self.alpha**2 * (weights[0] + weights[1]).sum(-1) / (2 * self.depth)

    def value(self, beta):
        z = self.mirror(beta)
        return (beta * z).sum(-1) - self.conjugate(z)


class Weighted:
    """½ Σ c_j β_j²."""

    def weights(self, beta):
        return np.linspace(0.5, 3.0, np.shape(beta)[-1])

    def value(self, beta):
        return (self.weights(beta) * np.square(beta)).sum(-1) / 2

    def mirror(self, beta):
        return self.weights(beta) * beta

    def inverse_mirror(self, z):
        return z / self.weights(z)

    def conjugate(self, z):
        return (np.square(z) / self.weights(z)).sum(-1) / 2


class Stranger(HyperbolicEntropy):
    """The house's entropy as somebody else's class: it goes the way of any potential."""


OWN = {
    "power 1.5": Power(1.5),
    "power 3": Power(3.0),
    "log cosh": LogCosh(),
    "depth 3": Deep(3, 0.1),
    "depth 4": Deep(4, 0.1),
    "weighted": Weighted(),
}
SHAPES = [(1, 2), (2, 3), (3, 6), (5, 5), (5, 12), (8, 6), (10, 25), (20, 50)]


def family(count):
    """Consistent problems: Gaussian, signs, correlated, uneven columns, dependent rows; y sparse or dense."""
    rng = np.random.default_rng(3)
    for k in range(count):
        n, d = SHAPES[k % len(SHAPES)]
        X = rng.standard_normal((n, d))
        X = [X, np.sign(X), np.cumsum(X, axis=1) / 3, X * 10 ** rng.uniform(-1, 1, d)][(k // 8) % 4]
        if k % 5 == 0 and n > 2:
            X[-1] = X[0] + X[1]
        beta = rng.standard_normal(d) * (rng.random(d) < (0.3 if k % 2 else 1.0))
        y = X @ beta
        yield X, y / max(np.abs(y).max(), 1e-300)


@pytest.mark.parametrize("name", OWN)
def test_a_potential_of_ones_own_is_certified(name):
    status = [bias.minimise(OWN[name], X, y).status for X, y in family(64)]
    assert status == [0] * 64


@pytest.mark.parametrize("name", ["power 1.5", "log cosh", "depth 3", "weighted"])
def test_another_solver_finds_the_same_point(name):
    """SciPy on the null space: φ(β₂ + Nc) over c, no dual and no mirror map but the gradient."""
    for X, y in family(56):
        found = bias.minimise(OWN[name], X, y).raise_if_failed().beta
        base = np.linalg.lstsq(X, y, rcond=None)[0]
        free = np.linalg.svd(X)[2][np.linalg.matrix_rank(X) :]
        if len(free) == 0 or not base.any():
            continue
        other = minimize(
            lambda c, base=base, free=free: float(OWN[name].value(base + c @ free)),
            np.zeros(len(free)),
            jac=lambda c, base=base, free=free: free @ OWN[name].mirror(base + c @ free),
            method="BFGS",
            options={"gtol": 1e-9},
        )
        assert np.abs(base + other.x @ free - found).max() < 1e-4 * np.abs(found).max()


@pytest.mark.parametrize("alpha", [1.0, 1e-1, 1e-2, 1e-4])
def test_the_hyperbolic_entropy_as_a_strangers_class_ends_where_the_house_engine_does(alpha):
    problem = problems.sparse_regression(20, 50, 3, rng=1)
    ours = bias.minimise(HyperbolicEntropy(np.log(alpha)), problem.X, problem.y).raise_if_failed().beta
    theirs = bias.minimise(Stranger(np.log(alpha)), problem.X, problem.y).raise_if_failed().beta
    assert np.linalg.norm(ours - theirs) < 1e-11 * np.linalg.norm(ours)


@pytest.mark.parametrize("name", ["log cosh", "depth 3", "weighted"])
def test_the_mirror_flow_of_that_potential_ends_there(name):
    problem = problems.sparse_regression(6, 15, 2, rng=2)
    found = bias.minimise(OWN[name], problem.X, problem.y).raise_if_failed().beta
    run = flows.mirror_flow(OWN[name], problem.X, problem.y)
    assert np.linalg.norm(run.beta[0] - found) < 1e-5 * np.linalg.norm(found)
    half = flows.mirror_flow(OWN[name], problem.X, problem.y, times=[0.0, 1.0])
    finished = bias.limit(half, problem.X, problem.y).raise_if_failed().beta[0]
    assert np.linalg.norm(finished - found) < 1e-5 * np.linalg.norm(found)


def test_a_subclass_with_maps_of_its_own_is_taken_at_its_word():
    class Scaled(Weighted):
        pass

    X, y = [[1.0, 2.0, -1.0]], [1.0]
    weights = np.linspace(0.5, 3.0, 3)
    right = np.array(X[0]) / weights / ((np.array(X[0]) ** 2) / weights).sum()
    assert np.allclose(bias.minimise(Scaled(), X, y).beta, right, rtol=1e-12)


def broken(potential, **maps):
    """The potential with some of its maps replaced."""
    names = ("value", "mirror", "inverse_mirror", "conjugate")
    found = type("Broken", (), {n: staticmethod(maps.get(n, getattr(potential, n))) for n in names})()
    found.domain = getattr(potential, "domain", (-np.inf, np.inf))
    return found


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda phi: {"mirror": lambda b: phi.mirror(b) * (1 + 1e-6)}, "inverse to each other"),
        (lambda phi: {"inverse_mirror": lambda z: 1.01 * phi.inverse_mirror(z)}, "inverse to each other"),
        (lambda phi: {"value": lambda b: 1.01 * phi.value(b)}, "dual"),
        (lambda phi: {"conjugate": lambda z: 2 * phi.conjugate(z)}, "dual"),
        (
            lambda phi: {
                "mirror": lambda b: -phi.mirror(b),
                "inverse_mirror": lambda z: phi.inverse_mirror(-z),
            },
            "convex",
        ),
    ],
)
def test_maps_that_do_not_belong_together_are_refused(name, wrong, words):
    problem = problems.sparse_regression(6, 15, 2, rng=2)
    with pytest.raises(ValueError, match=words):
        bias.minimise(broken(OWN[name], **wrong(OWN[name])), problem.X, problem.y / 10)


def test_no_interpolator_inside_the_domain_is_a_status_and_a_missing_map_a_sentence():
    class Ball(Power):
        """Binary entropy on |β| < 1: Σ (1+β)log(1+β) + (1−β)log(1−β), halved."""

        def __init__(self):
            pass

        def value(self, beta):
            return ((1 + beta) * np.log1p(beta) + (1 - beta) * np.log1p(-beta)).sum(-1) / 2

        def mirror(self, beta):
            return np.arctanh(beta)

        def inverse_mirror(self, z):
            return np.tanh(z)

        def conjugate(self, z):
            return (np.abs(z) + np.log1p(np.exp(-2 * np.abs(z))) - np.log(2)).sum(-1)

    assert bias.minimise(Ball(), [[1.0, 1.0, 0.5]], [1.0]).status == 0
    outside = bias.minimise(Ball(), [[1.0, 1.0, 0.5]], [5.0])
    assert outside.status == 2
    assert "inside the domain" in outside.message
    with pytest.raises(TypeError, match="which has no conjugate"):
        bias.minimise(
            type("Half", (), {"value": min, "mirror": min, "inverse_mirror": min})(), [[1.0]], [1.0]
        )
    with pytest.raises(TypeError, match="received the class Power"):
        bias.minimise(Power, [[1.0]], [1.0])
