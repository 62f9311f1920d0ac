"""Waveform to areas: front-ends, scattering, networks, training and activations."""

import lazy_loader

# Loaded at first use: torch and Lightning take seconds, `cortexnet --help` must not.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "activations": ["extract"],
        "heldout": ["evaluate_run"],
        "adapters": ["adapt"],
        "registry": ["create_model", "list_models", "register_model"],
        "retrieval": ["Index", "build_index", "evaluate_index"],
        "runs": ["load_run", "train_run"],
        "recipe": ["Recipe"],
    },
)
