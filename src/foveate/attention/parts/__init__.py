"""What the deformable gate and its ablation designs are made of."""
