class InterleavedLinear(nn.Linear):
    """Queries, keys and values: stored row by row in turns, returned as three blocks."""

    def forward(self, x):
        turns = super().forward(x).unflatten(-1, (-1, 3))  # [N, tokens, inner, 3]
        return turns.transpose(-1, -2).flatten(-2)
