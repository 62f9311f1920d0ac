"""The support vector machine kept as tensors is scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from cortexnet.classifiers import RBFReadout


@pytest.mark.parametrize("n_classes", [2, 3])
def test_decision_values_are_those_of_one_machine_a_class(n_classes):
    rng = np.random.default_rng(0)
    labels = np.arange(40) % n_classes
    x = (rng.standard_normal((40, 5)) + labels[:, None]).astype(np.float32)
    readout = RBFReadout(n_classes)
    readout.fit(x, labels)
    z = StandardScaler().fit_transform(x)
    expected = [
        SVC(C=10, gamma=1 / 5).fit(z, labels == k).decision_function(z) for k in range(n_classes)
    ]
    np.testing.assert_allclose(readout(torch.from_numpy(x)), np.stack(expected, 1), atol=1e-4)
