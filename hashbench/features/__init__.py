"""Images to features: backbones, augmentation, extraction."""
