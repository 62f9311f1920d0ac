"""Training on segments of clips, kept by its best clip-level validation."""

import lazy_loader

from cortexnet.recipe import Recipe

# The settings alone (`Recipe`) must not cost the import of torch and Lightning.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "network": ["train_network"],
        "norms": ["fit_norms"],
        "readout": ["embed_segments", "refit_decoder", "train_readout"],
    },
)
__all__ += ["Recipe"]
