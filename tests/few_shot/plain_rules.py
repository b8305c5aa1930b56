"""Each rule for one task, written with loops as its article writes it.

All take the labelled rows `support` (s, d) with their classes `y` (s,), the pile `query`
(n, d) and what its rows count, `weight` (n,), and return the probabilities (n, C) of the
pile. Gradients are central differences of the loss.
"""

import numpy as np

from skdeep.few_shot._tasks import Tasks


def unit(vector):
    """The vector of length 1 in the same direction; zeros stay zeros."""
    return vector / max(np.linalg.norm(vector), 1e-12)


def softmax(logits):
    """Softmax of a vector."""
    exponential = np.exp(logits - logits.max())
    return exponential / exponential.sum()


def cosine_table(rows, prototypes):
    """Cosine of each row with each prototype, (n, C)."""
    return np.array([[unit(row) @ unit(p) for p in prototypes] for row in rows])


def means(support, y):
    """Mean of the labelled rows of each class, (C, d)."""
    return np.array([support[y == c].mean(axis=0) for c in range(y.max() + 1)])


def weighted_mean(rows, weight):
    """Sum of weight times row over the sum of the weights."""
    return sum(w * row for w, row in zip(weight, rows)) / sum(weight)


def predict(rows, prototypes, scale):
    """Probabilities of a cosine classifier."""
    return np.array([softmax(scale * row) for row in cosine_table(rows, prototypes)])


def prototype(support, y, query, weight, scale=10.0):
    return predict(query, means(support, y), scale)


def soft_kmeans(support, y, query, weight, scale=10.0, n_steps=1):
    prototypes = means(support, y)
    for _ in range(n_steps):
        new = []
        for c in range(len(prototypes)):
            total, count = 0, 0
            for row, label in zip(support, y):
                total, count = total + (label == c) * row, count + (label == c)
            for row, w in zip(query, weight):
                far = [np.sum((row - unit(p)) ** 2) for p in prototypes]
                z = w * softmax(-scale / 2 * np.array(far))[c]
                total, count = total + z * row, count + z
            new.append(total / count)
        prototypes = np.array(new)
    return predict(query, prototypes, scale)


def rectified(support, y, query, weight, sharpness):
    """Prototypes of BD-CSPN."""
    basic = means(support, y)
    shifted = query + support.mean(axis=0) - weighted_mean(query, weight)
    nearest = cosine_table(shifted, basic).argmax(axis=1)
    new = []
    for c, p in enumerate(basic):
        rows = [*support[y == c], *shifted[nearest == c]]
        counts = [*np.ones((y == c).sum()), *weight[nearest == c]]
        counts = [
            k * np.exp(sharpness * unit(r) @ unit(p)) for k, r in zip(counts, rows)
        ]
        new.append(weighted_mean(rows, counts))
    return np.array(new)


def bd_cspn(support, y, query, weight, scale=10.0, sharpness=1.0):
    return predict(query, rectified(support, y, query, weight, sharpness), scale)


def laplacian(
    support, y, query, weight, smoothness=0.7, n_neighbors=2, n_steps=20, sharpness=1.0
):
    prototypes = rectified(support, y, query, weight, sharpness)
    distance = np.array([[np.sum((x - p) ** 2) for p in prototypes] for x in query])
    neighbours = [
        _nearest(query, i, weight > 0, n_neighbors) for i in range(len(query))
    ]
    proba = np.array([softmax(-row) for row in distance])
    for _ in range(n_steps):
        new = []
        for row, near in zip(distance, neighbours):
            pull = sum(weight[j] * proba[j] for j in near)
            new.append(softmax(-row + smoothness * pull))
        proba = np.array(new)
    return proba


def _nearest(rows, i, real, n_neighbors):
    similarity = rows @ rows[i]
    similarity[i] = -np.inf
    similarity[~real] = -np.inf
    return np.argsort(-similarity)[:n_neighbors]


def shannon(proba):
    return -sum(p * np.log(p) for p in proba)


def tsallis(proba, alpha):
    return (1 - sum(p**alpha for p in proba)) / (alpha - 1)


def tim(support, y, query, weight, entropy=shannon, weights=(1, 1, 0.5), **options):
    scale, n_steps, lr = options["scale"], options["n_steps"], options["lr"]
    share = weight / weight.sum()

    def loss(prototypes):
        on_support = predict(support, prototypes, scale)
        on_query = predict(query, prototypes, scale)
        cross = -np.mean([np.log(p[label]) for p, label in zip(on_support, y)])
        conditional = sum(w * entropy(p) for w, p in zip(share, on_query))
        marginal = entropy(sum(w * p for w, p in zip(share, on_query)))
        return weights[0] * cross - weights[1] * marginal + weights[2] * conditional

    prototypes = means(support, y)
    mean, square = np.zeros_like(prototypes), np.zeros_like(prototypes)
    for step in range(1, n_steps + 1):
        slope = _central_differences(loss, prototypes)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        up, down = mean / (1 - 0.9**step), np.sqrt(square / (1 - 0.999**step)) + 1e-8
        prototypes = prototypes - lr * up / down
    return predict(query, prototypes, scale)


def _central_differences(function, point, step=1e-6):
    slope = np.empty_like(point)
    for place in np.ndindex(point.shape):
        shift = np.zeros_like(point)
        shift[place] = step
        slope[place] = (function(point + shift) - function(point - shift)) / (2 * step)
    return slope


def alpha_tim(support, y, query, weight, alpha="auto", **options):
    if alpha == "auto":
        alpha = np.interp(len(y) / (y.max() + 1), [1, 5], [2, 7])

    def entropy(proba):
        return tsallis(proba, alpha)

    return tim(support, y, query, weight, entropy, (1, 1, 1), **options)


def transport(closeness, weight, shares, n_rounds):
    """Scale rows to `weight` and columns to `shares`, in turn; rows sum to 1 then."""
    plan = np.exp(closeness - closeness.max(axis=1, keepdims=True))
    for _ in range(n_rounds):
        plan *= (weight / weight.sum() / plan.sum(axis=1))[:, None]
        # a class with share 0 has the sum 0 from the first round on
        plan *= shares / shares.sum() / np.maximum(plan.sum(axis=0), 1e-300)
    return plan / plan.sum(axis=1, keepdims=True)


def pt_map(
    support, y, query, weight, shares, sharpness=10.0, n_steps=20, lr=0.2, n_rounds=1000
):
    support = np.array([unit(row - support.mean(axis=0)) for row in support])
    middle = weighted_mean(query, weight)
    query = np.array([unit(row - middle) for row in query])
    prototypes = means(support, y)
    for step in range(n_steps + 1):
        distance = np.array([[np.sum((x - p) ** 2) for p in prototypes] for x in query])
        plan = transport(-sharpness * distance, weight, shares, n_rounds)
        if step < n_steps:
            for c in range(len(prototypes)):
                rows, counts = [*support, *query], [*(y == c), *(weight * plan[:, c])]
                prototypes[c] += lr * (weighted_mean(rows, counts) - prototypes[c])
    return plan


def graph(rows, weight, n_neighbors, exponent):
    """Normalised graph of nearest neighbours, (m, m)."""
    m = len(rows)
    edges = np.zeros((m, m))
    for i in range(m):
        for j in _nearest(rows, i, weight > 0, n_neighbors):
            value = weight[i] * weight[j] * max(rows[i] @ rows[j], 0) ** exponent
            edges[i, j] += value
            edges[j, i] += value
    degree = edges.sum(axis=1)
    for i in range(m):
        for j in range(m):
            if edges[i, j] > 0:
                edges[i, j] /= np.sqrt(degree[i] * degree[j])
    return edges


def spread(edges, seeds, damping):
    """Solve (I - damping * edges) f = seeds, each class with the same sum."""
    return np.linalg.solve(
        np.eye(len(edges)) - damping * edges, seeds / seeds.sum(axis=0)
    )


def label_propagation(
    support, y, query, weight, n_neighbors=15, damping=0.8, exponent=3.0
):
    rows, counts = np.concatenate([support, query]), [*np.ones(len(y)), *weight]
    edges = graph(rows, np.array(counts), n_neighbors, exponent)
    seeds = np.zeros((len(rows), y.max() + 1))
    seeds[np.arange(len(y)), y] = 1
    reached = spread(edges, seeds, damping)[len(y) :]
    return reached / reached.sum(axis=1, keepdims=True)


def ilpc(support, y, query, weight, shares, n_neighbors, n_cleaning_steps, n_rounds):
    s, n, n_classes = len(y), len(query), y.max() + 1
    rows = np.concatenate([support, query])
    edges = graph(rows, np.array([*np.ones(s), *weight]), n_neighbors, 3.0)
    seeds = np.zeros((s + n, n_classes))
    seeds[np.arange(s), y] = 1
    left = shares / shares.sum() * weight.sum()
    unknown = [i for i in range(n) if weight[i] > 0]
    quota = int(np.ceil(len(unknown) / (n_classes * 5)))
    proba = np.full((n, n_classes), np.nan)
    for _ in range(5):
        if not unknown:
            break
        reached = spread(edges, seeds, 0.8)[s:][unknown]
        reached = np.maximum(reached / reached.sum(axis=1, keepdims=True), 1e-6)
        plan = transport(3 * np.log(reached), weight[unknown], left, n_rounds)
        proba[unknown] = plan
        guess = plan.argmax(axis=1)
        believed = seeds.copy()
        believed[[s + i for i in unknown], guess] = weight[unknown]
        loss = _losses_of_linear_classifier(rows, seeds, believed, n_cleaning_steps)
        for c in range(n_classes):
            of_class = [i for i, label in zip(unknown, guess) if label == c]
            for i in sorted(of_class, key=lambda i: loss[s + i])[:quota]:
                seeds[s + i, c] = weight[i]
                left[c] = max(left[c] - weight[i], 0)
        unknown = [i for i in unknown if seeds[s + i].sum() == 0]
    return proba


def _losses_of_linear_classifier(rows, seeds, believed, n_steps, lr=0.1):
    slopes = np.array([unit(seeds[:, c] @ rows) for c in range(seeds.shape[1])])
    offsets = np.zeros(len(slopes))
    speeds = [np.zeros_like(slopes), np.zeros_like(offsets)]
    losses = np.zeros(len(rows))
    for _ in range(n_steps):
        gradients = [5e-4 * slopes, 5e-4 * offsets]
        for i, row in enumerate(rows):
            if believed[i].sum() == 0:
                continue
            c, proba = believed[i].argmax(), softmax(slopes @ row + offsets)
            losses[i] -= np.log(proba[c]) / n_steps
            error = (proba - np.eye(len(slopes))[c]) * believed[i, c] / believed.sum()
            gradients[0] += np.outer(error, row)
            gradients[1] += error
        speeds = [0.9 * speed + slope for speed, slope in zip(speeds, gradients)]
        slopes, offsets = slopes - lr * speeds[0], offsets - lr * speeds[1]
    return losses


def padded_tasks(tasks, n_support, n_query):
    """One `Tasks` of several (support, y, query, weight), filled up with zeros."""
    import torch

    n_classes = 1 + max(y.max() for _, y, _, _ in tasks)
    parts = []
    for support, y, query, weight in tasks:
        more_s, more_q = n_support - len(y), n_query - len(query)
        parts.append(
            (
                np.pad(support, ((0, more_s), (0, 0))),
                np.pad(np.eye(n_classes)[y], ((0, more_s), (0, 0))),
                np.pad(query, ((0, more_q), (0, 0))),
                np.pad(weight, (0, more_q)),
            )
        )
    return Tasks(*(torch.from_numpy(np.stack(part)) for part in zip(*parts)))
