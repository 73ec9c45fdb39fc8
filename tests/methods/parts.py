"""Parts of the small synthetic store, as systems get them."""

from mmtsa_cli.sampling.draw import DrawOptions, Samples


def part(store, subjects, modalities, *, without=(), labels=None, classes=None):
    """Return the clips of some people, all of their labels, or some, or all but some."""
    wanted = set(labels or store.labels) - set(without)
    clips = [i for i, clip in enumerate(store.clips) if clip["subject"] in subjects and clip["label"] in wanted]
    return Samples(
        store,
        clips,
        modalities=modalities,
        classes=classes or store.labels,
        options=DrawOptions(frame_size=32),
    )


def accuracy(probabilities, samples):
    """Return the share of clips whose most probable class is theirs."""
    return float((probabilities.argmax(axis=1) == samples.labels).mean())
