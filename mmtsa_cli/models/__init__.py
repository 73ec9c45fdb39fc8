"""Networks: backbones, encoders, fusion, and their weights."""
