"""Classic classifiers as modules: fixed features of a sound, then a read-out fitted in one step."""

from cortexnet.classifiers import lstm, models  # noqa: F401  they register themselves
from cortexnet.classifiers.affine import AffineReadout
from cortexnet.classifiers.features import FeatureClassifier, LogModulation
from cortexnet.classifiers.logistic import LogisticReadout
from cortexnet.classifiers.svm import RBFReadout

__all__ = ["AffineReadout", "FeatureClassifier", "LogModulation", "LogisticReadout", "RBFReadout"]
