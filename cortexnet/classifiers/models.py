"""Classic classifiers of the registry."""

from cortexnet.classifiers.affine import AffineReadout
from cortexnet.classifiers.features import FeatureClassifier, LogModulation
from cortexnet.classifiers.logistic import LogisticReadout
from cortexnet.classifiers.readout import Readout
from cortexnet.classifiers.svm import RBFReadout
from cortexnet.frontends.joint import JointScattering
from cortexnet.frontends.scattering import LogScattering
from cortexnet.registry import register_model

SOURCE = "Anden & Mallat 2014, kymatio's 1-D transform"
VISIBLE = {"preset": "kymatio"}  # by operations that torch counts


def scattering_classifier(
    readout: type[Readout], n_classes: int, sample_rate: int, vote: str = "mean", **options
) -> FeatureClassifier:
    """Log scattering with a read-out; options are the read-out's, if it knows them, or its own."""
    fixed = {name: options.pop(name) for name in readout.default if name in options}
    features = LogScattering(sample_rate, **options)
    return FeatureClassifier(features, ("S1", "S2"), readout(n_classes, **fixed), vote)


@register_model("scattering_svm", SOURCE, countable=VISIBLE)
def scattering_svm(n_classes: int, sample_rate: int = 22050, **options) -> FeatureClassifier:
    """Scattering coefficients of both orders and a support vector machine."""
    return scattering_classifier(RBFReadout, n_classes, sample_rate, **options)


@register_model("scattering_lda", f"{SOURCE}; Bruna & Mallat 2013", countable=VISIBLE)
def scattering_lda(n_classes: int, sample_rate: int = 22050, **options) -> FeatureClassifier:
    """Scattering coefficients of both orders and an affine space of each class."""
    return scattering_classifier(AffineReadout, n_classes, sample_rate, **options)


@register_model("scattering_logreg", SOURCE, countable=VISIBLE)
def scattering_logreg(n_classes: int, sample_rate: int = 22050, **options) -> FeatureClassifier:
    """Scattering coefficients of both orders and logistic regression."""
    return scattering_classifier(LogisticReadout, n_classes, sample_rate, **options)


@register_model("joint_scattering_svm", "Anden, Lostanlen & Mallat 2019", countable=VISIBLE)
def joint_scattering_svm(
    n_classes: int, sample_rate: int = 22050, vote: str = "mean", **options
) -> FeatureClassifier:
    """Joint time-frequency scattering and a support vector machine."""
    features = JointScattering(sample_rate, **options)
    return FeatureClassifier(features, ("S1", "S2"), RBFReadout(n_classes), vote)


@register_model("modulation_svm", "modulation energy (Chi, Ru & Shamma 2005)")
def modulation_svm(
    n_classes: int, sample_rate: int = 22050, vote: str = "mean"
) -> FeatureClassifier:
    """Log modulation energy and a support vector machine."""
    return FeatureClassifier(
        LogModulation(sample_rate), ("modulation",), RBFReadout(n_classes), vote
    )
