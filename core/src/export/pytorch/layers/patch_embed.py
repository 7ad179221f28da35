class PatchEmbed(nn.Module):
    """Cuts an image into patches: tokens with a class token first and learned positions."""

    def __init__(self, channels, width, patch, tokens):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))

    def forward(self, x):
        patches = self.proj(x).flatten(2).transpose(1, 2)  # [N, tokens - 1, width]
        class_token = self.cls_token.expand(x.shape[0], -1, -1)
        return torch.cat([class_token, patches], dim=1) + self.pos_embed
