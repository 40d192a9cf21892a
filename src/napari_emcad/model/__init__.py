"""The PVT-EMCAD network; depends on torch and timm alone."""
