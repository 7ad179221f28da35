class CausalAttention(nn.Module):
    """Attention of each token over itself and those before."""

    def __init__(self, heads, dropout):
        super().__init__()
        self.heads = heads
        self.dropout = dropout

    def forward(self, qkv):
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        p = self.dropout if self.training else 0.0
        # [N, heads, tokens, width of a head]
        out = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
        return out.transpose(1, 2).flatten(2)
