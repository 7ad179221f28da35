class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that a small network makes of the channels' means."""

    def __init__(self, channels, squeezed):
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        gate = x.mean(dim=(2, 3), keepdim=True)  # [N, channels, 1, 1]
        gate = self.expand(F.relu(self.reduce(gate)))
        return x * F.hardsigmoid(gate)
