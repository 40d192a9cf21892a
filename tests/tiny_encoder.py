"""An encoder of the PVTv2 family with a twentieth of the work of its smallest, for most tests."""

from __future__ import annotations

from timm.models import generate_default_cfgs, pvt_v2, register_model

from napari_emcad.model.encoders import EncoderSpec

TINY = EncoderSpec("pvt_v2_tiny", (8, 12, 16, 24), (1, 1, 1, 1), mlp_ratios=(2, 2, 2, 2))

default_cfgs = generate_default_cfgs({f"{TINY.name}.in1k": pvt_v2._cfg(hf_hub_id="timm/")})


@register_model
def pvt_v2_tiny(pretrained=False, **options):
    """Return timm's module."""
    return pvt_v2._create_pvt2(
        TINY.name,
        pretrained,
        depths=TINY.depths,
        embed_dims=TINY.widths,
        num_heads=(1, 1, 2, 2),
        mlp_ratios=TINY.mlp_ratios,
        **options,
    )
