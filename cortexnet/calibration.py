"""Whether a classifier is right as often as it says."""

import numpy as np


def calibration(probabilities: np.ndarray, truth: np.ndarray, n_bins: int = 10) -> dict:
    """Reliability of class probabilities, and scores that reward honest ones.

    Parameters
    ----------
    probabilities : (n, n_classes)
        Rows sum to 1.
    truth : (n,) int
    n_bins : int
        Of equal mass: each holds the same number of predictions, give or take one, so that no bin
        is judged by a handful. Fewer where there are fewer predictions.

    Returns
    -------
    dict
        ``expected_calibration_error``: mean over predictions of |share right - mean confidence| of
        their bin (Naeini et al. 2015, AAAI; equal-mass bins, Nguyen & O'Connor 2015, EMNLP);
        ``negative_log_likelihood``: mean of -log p(truth), nats; ``brier``: mean of the squared
        distance to the one-hot truth, summed over classes, 0 to 2 (Brier 1950);
        ``reliability``: rows of n, confidence, accuracy, from the least confident bin on.
    """
    n = len(truth)
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    order = np.argsort(confidence, kind="stable")
    rows = [
        {
            "n": len(part),
            "confidence": float(confidence[part].mean()),
            "accuracy": float(right[part].mean()),
        }
        for part in np.array_split(order, min(n_bins, n))
    ]
    gaps = [row["n"] * abs(row["accuracy"] - row["confidence"]) for row in rows]
    of_truth = probabilities[np.arange(n), truth]
    one_hot = np.eye(probabilities.shape[1])[truth]
    return {
        "expected_calibration_error": float(sum(gaps) / n),
        "negative_log_likelihood": float(-np.log(np.maximum(of_truth, 1e-12)).mean()),
        "brier": float(np.square(probabilities - one_hot).sum(1).mean()),
        "reliability": rows,
    }
