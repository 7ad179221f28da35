class RelativePositions(nn.Module):
    """A vector for each pair of tokens: that of their rows plus that of their columns.

    Entry 0 of both tables stands for any pair with the class token.
    """

    def __init__(self, width, grid, reach):
        super().__init__()
        self.vertical = nn.Parameter(torch.zeros(2 * reach + 2, width))
        self.horizontal = nn.Parameter(torch.zeros(2 * reach + 2, width))
        for name, size in zip(("row_index", "column_index"), grid):
            place = torch.arange(size)
            distance = (place[None, :] - place[:, None]).clamp(-reach, reach)
            self.register_buffer(name, distance + reach + 1, persistent=False)

    def patches(self):
        return self.vertical[self.row_index], self.horizontal[self.column_index]

    def class_token(self):
        return self.vertical[0] + self.horizontal[0]


class RelativeAttention(nn.Module):
    """Attention among a class token and the patches of a grid, with relative positions."""

    def __init__(self, heads, width, grid, reach):
        super().__init__()
        self.heads, self.width, self.grid = heads, width, grid
        self.rel_k = RelativePositions(width, grid, reach)
        self.rel_v = RelativePositions(width, grid, reach)

    def forward(self, qkv):
        # Each [N, heads, tokens, width].
        q, k, v = qkv.unflatten(-1, (3, self.heads, self.width)).permute(2, 0, 3, 1, 4)
        q = q * self.width**-0.5
        weights = (q @ k.transpose(-2, -1) + self.bias(q)).softmax(dim=-1)
        out = weights @ v + self.moved(weights)
        return out.transpose(1, 2).flatten(2)

    def bias(self, q):
        """What relative positions add to the logits: [N, heads, tokens, tokens]."""
        vertical, horizontal = self.rel_k.patches()
        patches = q[:, :, 1:]
        grid = patches.unflatten(2, self.grid)  # [N, heads, rows, columns, width]
        by_row = torch.einsum("nhrcw,rsw->nhrcs", grid, vertical)
        by_column = torch.einsum("nhrcw,csw->nhrcs", grid, horizontal)
        pairs = by_row[..., :, None] + by_column[..., None, :]
        pairs = pairs.flatten(4).flatten(2, 3)  # [N, heads, patches, patches]
        to_class = patches @ self.rel_k.class_token()[:, None]
        # The class token's own row would get the same number everywhere, which softmax ignores.
        return F.pad(torch.cat([to_class, pairs], dim=-1), (0, 0, 1, 0))

    def moved(self, weights):
        """What relative positions add to the outputs: [N, heads, tokens, width]."""
        vertical, horizontal = self.rel_v.patches()
        rows, columns = self.grid
        pairs = weights[:, :, 1:, 1:].unflatten(2, self.grid).unflatten(-1, (rows, columns))
        out = torch.einsum("nhrcs,rsw->nhrcw", pairs.sum(dim=5), vertical)
        out = out + torch.einsum("nhrcs,csw->nhrcw", pairs.sum(dim=4), horizontal)
        out = out.flatten(2, 3) + weights[:, :, 1:, :1] * self.rel_v.class_token()
        first = self.rel_v.class_token().expand(*out.shape[:2], 1, -1)
        return torch.cat([first, out], dim=2)
