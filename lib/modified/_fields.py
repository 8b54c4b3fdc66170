"""Backward error analysis: the differential equation that a numerical method really solves.

Notation (Yang's notes 2025, §1; Griffiths & Higham 2010, ch. 13). f the field of x' = f(x), h > 0 the step,
x_{n+1} = x_n + h f(x_n) forward Euler. Its formal modified field g = f + h g₁ + h² g₂ + … has Euler's map as
its exact time-h flow. "Order k" below means the series cut after h^k g_k, whose solution stays within
O(h^{k+1}) of Euler's points. States carry their coordinates on the last axis; Jacobians are (..., d, d).
Polynomial fields act elementwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import comb, factorial
from numbers import Integral

import numpy as np
from numpy.polynomial import polynomial as P

from lib.modified.orders import Field
from lib.records import as_array, as_count, as_positive

# --- the series, in exact rationals for polynomial fields -----------------------------------------


def polynomial_field(coefficients: Sequence, order: int) -> list[list[Fraction]]:
    r"""The modified field of forward Euler for a polynomial f, to any order, in exact rationals.

    With D_g u = g u′ the Lie derivative, the time-h flow of g is x + Σ_{i≥1} hⁱ/i! D_g^{i−1} g. Asking that
    it be x + h f(x), and reading off the power h^{k+1}, gives g_k from the ones before it:

        g_k = − Σ_{i=2}^{k+1} (1/i!) [h^{k+1−i}] D_g^{i−1} g,      g₀ = f.

    Parameters
    ----------
    coefficients : sequence of int, Fraction, str or float, length at least 1
        f, lowest degree first; a float is taken at its exact binary value.
    order : int
        Highest power of h wanted, at least 0.

    Returns
    -------
    list of list of Fraction, length order + 1
        g₀ = f, g₁, …, g_order, each a list of coefficients, lowest degree first.

    Raises
    ------
    ValueError, TypeError
        When a coefficient is not a finite rational number, there is none, or ``order`` is negative.

    Examples
    --------
    >>> from lib.modified import polynomial_field
    >>> [str(g[-1]) for g in polynomial_field([0, 0, 1], 4)]
    ['1', '-1', '3/2', '-8/3', '31/6']
    """
    order = as_count("order", order, least=0)
    g = [_fractions("coefficients", coefficients)]
    for k in range(1, order + 1):
        current, total = g[:], [Fraction(0)]
        for i in range(2, k + 2):
            current = [_sum(lie_derivative(g[a], current[j - a]) for a in range(j + 1)) for j in range(k)]
            total = _sum([total, [c / factorial(i) for c in current[k + 1 - i]]])
        g.append([-c for c in total])
    return g


def parabola_series(order: int) -> list[Fraction]:
    r"""Coefficients c_k of the modified field Σ c_k h^k x^{k+2} of forward Euler for f = x², far out.

    The flow of g over the time h is Euler's step, and a field is carried along by its own flow: Julia's
    equation g(x + hx²) = (1 + 2hx) g(x). The power x^{m+1} of it, with g = Σ_{j≥2} a_j x^j and h = 1, reads

        Σ_{j ≤ m} a_j C(j, m + 1 − j) = 2 a_m,      hence (m − 2) a_m = − Σ_{j<m} a_j C(j, m + 1 − j).

    It needs order² operations, and agrees with ``polynomial_field`` where that is fast enough. |c_k| grows
    like k!/(2π)^k: the series converges at no h x other than 0.

    Parameters
    ----------
    order : int
        Highest k wanted, at least 0.

    Returns
    -------
    list of Fraction, length order + 1
        c₀ = 1, c₁ = −1, …, c_order.

    Raises
    ------
    ValueError, TypeError
        When ``order`` is not a count.

    Examples
    --------
    >>> from lib.modified import parabola_series
    >>> [str(c) for c in parabola_series(6)]
    ['1', '-1', '3/2', '-8/3', '31/6', '-157/15', '649/30']
    """
    a = {2: Fraction(1)}
    for m in range(3, as_count("order", order, least=0) + 3):
        total = sum(a[j] * comb(j, m + 1 - j) for j in range(max(2, (m + 1) // 2), m))
        a[m] = -total / (m - 2)
    return list(a.values())


def lie_derivative(field: Sequence, u: Sequence) -> list[Fraction]:
    """Change of the polynomial u along the field g: D_g u = g u′.

    Parameters
    ----------
    field, u : sequence of int, Fraction, str or float
        Coefficients, lowest degree first.

    Returns
    -------
    list of Fraction
        Coefficients of the product, lowest degree first.

    Examples
    --------
    >>> from lib.modified import lie_derivative
    >>> [int(c) for c in lie_derivative([0, 0, 1], [0, 0, 1])]
    [0, 0, 0, 2]
    """
    field, u = (np.array(_fractions(name, c), dtype=object) for name, c in (("field", field), ("u", u)))
    return list(P.polymul(field, P.polyder(u))) if len(u) > 1 else [Fraction(0)]


def truncated(series: Sequence[Sequence], step: float) -> np.polynomial.Polynomial:
    """The field f + h g₁ + … + h^k g_k at one step h, as a function of x.

    Parameters
    ----------
    series : sequence of coefficient lists, length k + 1
        As ``polynomial_field`` returns them, or a first part of that list.
    step : float
        h > 0, in units of the time of x' = f(x).

    Returns
    -------
    numpy.polynomial.Polynomial
        Callable, elementwise.

    Examples
    --------
    >>> from lib.modified import polynomial_field, truncated
    >>> float(truncated(polynomial_field([0, 5], 1), 0.1)(1.0))
    3.75
    """
    step = as_positive("step", step)
    total = np.zeros(1)
    for k, g in enumerate(series):
        total = P.polyadd(total, step**k * np.array([float(c) for c in g]))
    return np.polynomial.Polynomial(total)


def linear_rate(rate: float, step: float) -> float:
    """The rate log(1 + hλ)/h at which y' = λ̃ y passes through every Euler point of x' = λx.

    Its series λ − hλ²/2 + h²λ³/3 − … converges for |hλ| < 1 only; the closed form holds for hλ > −1.

    Parameters
    ----------
    rate : float
        λ, in units of 1/time.
    step : float
        h > 0, in units of time.

    Returns
    -------
    float
        λ̃.

    Raises
    ------
    ValueError
        When hλ ≤ −1: Euler's points then reach or cross the rest point 0 at each step.

    Examples
    --------
    >>> from lib.modified import linear_rate
    >>> round(linear_rate(5.0, 0.1), 6)
    4.054651
    """
    rate, step = float(as_array("rate", rate, ndim=0)), as_positive("step", step)
    if step * rate <= -1:
        raise ValueError(
            f"step · rate must be greater than −1; received {step * rate}. Euler's points then reach or "
            "cross the rest point 0, which no solution of an autonomous equation does: no modified equation "
            "exists. Choose a smaller step."
        )
    return float(np.log1p(step * rate) / step)


# --- orders 1 and 2 for any field with its Jacobian -----------------------------------------------


def correction(field: Field, jacobian: Field, order: int, *, second_derivative=None) -> Field:
    """One coefficient of the modified field of forward Euler: g₁ = −½ f′f or g₂ = f″(f, f)/12 + f′f′f/3.

    Parameters
    ----------
    field : callable
        f, from (..., d) to (..., d).
    jacobian : callable
        f′, from (..., d) to (..., d, d).
    order : int
        1 or 2.
    second_derivative : callable, optional
        (x, u) ↦ f″(x)(u, u), shape (..., d). Without it, a five-point difference of the Jacobian along f is
        taken (spacing 1e-3 of the size of x, relative error about 1e-12 for fields that vary on that scale).

    Returns
    -------
    callable
        From (..., d) to (..., d).

    Raises
    ------
    ValueError
        When ``order`` is neither 1 nor 2.

    Examples
    --------
    >>> from lib.modified import correction
    >>> g1 = correction(lambda x: x**2, lambda x: 2 * x[..., None], 1)
    >>> g1([3.0]).tolist()
    [-27.0]
    """
    order = as_count("order", order, least=1, most=2)

    def first(x):
        x = as_array("x", x)
        return -_apply(jacobian(x), field(x)) / 2

    def second(x):
        x = as_array("x", x)
        f, J = field(x), jacobian(x)
        if second_derivative is not None:
            curvature = second_derivative(x, f)
        else:
            curvature = _along(lambda z: _apply(jacobian(z), f), x, f)
        return curvature / 12 + _apply(J, _apply(J, f)) / 3

    return first if order == 1 else second


def modified_field(
    field: Field, jacobian: Field, step: float, *, order=1, second_derivative=None, implicit=False
) -> Field:
    """The modified field f + h g₁ (+ h² g₂) of Euler's method, for any field with its Jacobian.

    For gradient descent (f = −∇F, f′ = −∇²F) order 1 is −∇(F + (η/4)|∇F|²); order 2 is in general no
    gradient.

    Parameters
    ----------
    field, jacobian : callable
        f and f′ as in ``correction``.
    step : float
        h > 0, in units of the time of x' = f(x).
    order : int, optional
        0, 1 or 2: last power of h kept.
    second_derivative : callable, optional
        As in ``correction``; used by order 2 only.
    implicit : bool, optional
        The modified field of implicit Euler, x_{n+1} = x_n + h f(x_{n+1}): the odd powers change sign.

    Returns
    -------
    callable
        From (..., d) to (..., d).

    Examples
    --------
    >>> from lib.modified import modified_field
    >>> g = modified_field(lambda x: 5 * x, lambda x: 5.0 + 0 * x[..., None], 0.1)
    >>> g([1.0]).tolist()
    [3.75]
    """
    step, order = as_positive("step", step), as_count("order", order, least=0, most=2)
    terms = [correction(field, jacobian, k, second_derivative=second_derivative) for k in range(1, order + 1)]
    signed = -step if implicit else step

    def g(x):
        x = as_array("x", x)
        return field(x) + sum(signed**k * term(x) for k, term in enumerate(terms, start=1))

    return g


def inverse_field(field: Field, jacobian: Field, step: float) -> Field:
    """Another modified field of forward Euler, of the same order as f − (h/2) f′f: (I + (h/2) f′)⁻¹ f.

    The two differ by O(h²), so both follow Euler's points to O(h²): modified equations of a given order are
    not unique (Yang's notes, Remark 1.1).

    Parameters
    ----------
    field, jacobian : callable
        f and f′ as in ``correction``.
    step : float
        h > 0, in units of the time of x' = f(x).

    Returns
    -------
    callable
        From (..., d) to (..., d). It raises ``ValueError`` where I + (h/2) f′ cannot be inverted.

    Examples
    --------
    >>> from lib.modified import inverse_field
    >>> inverse_field(lambda x: 5 * x, lambda x: 5.0 + 0 * x[..., None], 0.1)([1.0]).tolist()
    [4.0]
    """
    step = as_positive("step", step)

    def g(x):
        x = as_array("x", x)
        try:
            return np.linalg.solve(np.eye(x.shape[-1]) + step / 2 * jacobian(x), field(x)[..., None])[..., 0]
        except np.linalg.LinAlgError as error:
            raise ValueError(
                f"I + (h/2) f′ must be invertible; it is not at x = {x}, h = {step}. Choose a smaller step."
            ) from error

    return g


def modified_loss(loss: Callable, gradient: Field, step_size: float, *, coefficient=0.25) -> Callable:
    """The loss F + (η/4)|∇F|² whose gradient flow follows gradient descent to O(η²).

    Parameters
    ----------
    loss, gradient : callable
        F, from (..., d) to (...), and ∇F, from (..., d) to (..., d).
    step_size : float
        η > 0.
    coefficient : float, optional
        ¼; any other number is a wrong equation, kept for comparison.

    Returns
    -------
    callable
        From (..., d) to (...).

    Examples
    --------
    >>> from lib.modified import modified_loss
    >>> float(modified_loss(lambda x: (x * x).sum(-1) / 2, lambda x: x, 0.4)([2.0]))
    2.4
    """
    step_size = as_positive("step_size", step_size)

    def value(x):
        x = as_array("x", x)
        return loss(x) + coefficient * step_size * (gradient(x) ** 2).sum(-1)

    return value


def modified_gradient(gradient: Field, hessian: Field, step_size: float, *, coefficient=0.25) -> Field:
    """Gradient of ``modified_loss``: ∇F + (η/2) ∇²F ∇F.

    Parameters
    ----------
    gradient, hessian : callable
        ∇F, from (..., d) to (..., d), and ∇²F, from (..., d) to (..., d, d).
    step_size : float
        η > 0.
    coefficient : float, optional
        ¼; any other number is a wrong equation, kept for comparison.

    Returns
    -------
    callable
        From (..., d) to (..., d); its negative is the order-1 modified field of gradient descent.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.modified import modified_gradient
    >>> modified_gradient(lambda x: x, lambda x: np.eye(1), 0.5)([1.0]).tolist()
    [1.25]
    """
    step_size = as_positive("step_size", step_size)

    def value(x):
        x = as_array("x", x)
        g = gradient(x)
        return g + 2 * coefficient * step_size * _apply(hessian(x), g)

    return value


def curl(field: Field, x) -> float:
    """∂₁g₂ − ∂₂g₁ of a field in the plane, which is 0 everywhere if and only if the field is a gradient.

    Parameters
    ----------
    field : callable
        g, from (2,) to (2,).
    x : array_like, shape (2,)
        Where to take it.

    Returns
    -------
    float
        By five-point differences with spacing 1e-3 of the size of x; error about 1e-12 for O(1) fields.

    Raises
    ------
    ValueError
        When x is not a point of the plane.

    Examples
    --------
    >>> import numpy as np
    >>> from lib.modified import curl
    >>> round(curl(lambda x: np.array([-x[1], x[0]]), [0.3, 0.4]), 9)
    2.0
    """
    x = as_array("x", x, ndim=1)
    if x.shape != (2,):
        raise ValueError(f"x must be a point of the plane; received shape {x.shape}. Pass two coordinates.")
    first, second = (_along(field, x, direction) for direction in np.eye(2))
    return float(first[1] - second[0])


# --- private --------------------------------------------------------------------------------------


def _apply(J, v):
    return (J @ v[..., None])[..., 0]


def _along(function, x, direction):
    # five-point central difference of d/ds function(x + s·direction) at s = 0
    size = np.linalg.norm(direction, axis=-1, keepdims=True)
    spacing = 1e-3 * (1 + np.linalg.norm(x, axis=-1, keepdims=True))
    s = spacing / np.where(size > 0, size, 1.0)
    near = function(x + s * direction) - function(x - s * direction)
    far = function(x + 2 * s * direction) - function(x - 2 * s * direction)
    return (8 * near - far) / (12 * s)


def _fractions(name, coefficients):
    try:
        exact = [Fraction(int(c)) if isinstance(c, Integral) else Fraction(c) for c in coefficients]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise ValueError(
            f"{name} must be finite rational numbers, lowest degree first; received {coefficients!r} "
            f"({error}). Pass ints, Fractions, strings such as '1/3', or finite floats."
        ) from error
    if not exact:
        raise ValueError(f"{name} must not be empty. Pass [0] for the zero polynomial.")
    return exact


def _sum(polynomials):
    total = np.array([Fraction(0)], dtype=object)
    for p in polynomials:
        total = P.polyadd(total, np.array(p, dtype=object))
    return list(total)
