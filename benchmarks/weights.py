"""The stochastic gradient flow in the weights, (w₊, w₋, s): the peers of workloads B and B'.

dw± = ∓w±⊙Xᵀr/n dt ± 2√(γL/n) w±⊙XᵀdB, ds = L dt, by Euler–Maruyama. jax: a scan over the steps of all paths.
diffrax: ``diffeqsolve`` with its Euler solver, vmap over the paths, the noise an operator (no dense matrix),
the fastest of its Brownian paths, only the end saved. torchsde is left out: a large install, and slower.
"""

from itertools import count


def equation(problem, physics):
    """Start, drift and noise of one path; the noise is a linear function of dB."""
    import jax.numpy as jnp

    n, gamma = problem.n, physics["step_size"]
    X, y = jnp.asarray(problem.X), jnp.asarray(problem.y)
    alpha = jnp.full(problem.d, jnp.exp(physics["log_alpha"]))

    def residual(state):
        return X @ (state[0] ** 2 - state[1] ** 2) - y

    def loss(r):
        return r @ r / (4 * n)

    def drift(state):
        r = residual(state)
        gradient = r @ X / n
        return -state[0] * gradient, state[1] * gradient, loss(r)

    def noise(state):
        size = 2 * jnp.sqrt(gamma * loss(residual(state)) / n)

        def apply(dB):
            kick = size * (dB @ X)
            return state[0] * kick, -state[1] * kick, jnp.zeros(())

        return apply

    return (alpha, alpha, jnp.zeros(())), drift, noise


def stepper(problem, physics, dt):
    """One Euler–Maruyama step of all paths from their standard normals (R, n), and the start for R paths."""
    import jax
    import jax.numpy as jnp

    start, drift, noise = equation(problem, physics)

    def one(state, normal):
        moves = drift(state), noise(state)(jnp.sqrt(dt) * normal)
        return tuple(w + dt * a + b for w, a, b in zip(state, *moves, strict=True))

    def first(paths):
        return tuple(jnp.broadcast_to(part, (paths, *part.shape)) for part in start)

    return jax.vmap(one), first


def jax_walk(problem, physics, dt):
    """(w₊, w₋, s) at the end from given standard normals (steps, R, n)."""
    import jax

    step, first = stepper(problem, physics, dt)

    @jax.jit
    def walk(normals):
        return jax.lax.scan(lambda state, xi: (step(state, xi), None), first(normals.shape[1]), normals)[0]

    return walk


def jax_scan(problem, physics, dt, steps, paths):
    """A function of nothing that draws and walks, with a new key at every call."""
    import jax

    step, first = stepper(problem, physics, dt)

    def draw_and_step(state, key):
        return step(state, jax.random.normal(key, (paths, problem.n))), None

    @jax.jit
    def run(key):
        return jax.lax.scan(draw_and_step, first(paths), jax.random.split(key, steps))[0]

    return with_new_keys(run)


def diffrax_euler(problem, physics, dt, steps, paths):
    """The same by diffrax."""
    import diffrax
    import jax
    import lineax

    start, drift, noise = equation(problem, physics)
    dB = jax.ShapeDtypeStruct((problem.n,), start[0].dtype)

    def operator(t, state, args):
        return lineax.FunctionLinearOperator(noise(state), dB)

    def one(key):
        terms = diffrax.MultiTerm(
            diffrax.ODETerm(lambda t, state, args: drift(state)),
            diffrax.ControlTerm(operator, diffrax.UnsafeBrownianPath(dB, key)),
        )
        options = {"max_steps": steps + 1, "adjoint": diffrax.ForwardMode()}
        end = diffrax.diffeqsolve(terms, diffrax.Euler(), 0.0, steps * dt, dt, start, **options)
        return tuple(part[0] for part in end.ys)

    run = jax.jit(jax.vmap(one))
    return with_new_keys(lambda key: run(jax.random.split(key, paths)))


def with_new_keys(run):
    """Call ``run`` with another key every time, and wait for the result."""
    import jax

    seeds = count()
    return lambda: jax.block_until_ready(run(jax.random.key(next(seeds))))


PEERS = (("diffrax Euler", diffrax_euler, ("jax", "diffrax")), ("jax scan", jax_scan, ("jax",)))
