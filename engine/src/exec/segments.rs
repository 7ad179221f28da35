//! Where a pass is cut, so that its backward pass recomputes one segment after the other
//! (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174).
//!
//! Nothing is known of cells or blocks: a graph is cut where few numbers are read later on.

use skein_core::graph::{Graph, GraphError, Node, NodeId, Op, Shape};

use super::order::Order;

/// What a segment may keep at most, as parts of what a whole pass keeps.
const PARTS: [f64; 16] =
    [1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0];
/// How many numbers to keep are worth one that is not computed again.
const WORTH: f64 = 0.02;

/// A way to cut a pass, in numbers per example.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cuts {
    /// The last time of every segment but the last one.
    pub(super) ends: Vec<NodeId>,
    /// What is kept at most: all values that cross cuts, and what the largest segment keeps.
    pub(super) kept: f64,
    /// What is computed again.
    pub(super) again: f64,
}

/// Numbers along a pass.
struct Profile {
    /// What the backward pass of all until each time needs.
    until: Vec<f64>,
    /// What is read later at the end of each time.
    alive: Vec<f64>,
}

/// The way to cut a pass that keeps at most this share of what the whole pass keeps and computes
/// least again; if none does, the one that keeps least.
///
/// # Errors
/// - [`GraphError::Shape`] if the graph does not fit itself.
pub(super) fn cut(
    graph: &Graph,
    order: &Order,
    copies: impl Fn(NodeId) -> usize,
    share: f64,
) -> Result<Cuts, GraphError> {
    let profile = Profile::of(graph, order, copies)?;
    let whole = profile.until[order.end()];
    let ways: Vec<Cuts> = PARTS.iter().map(|parts| profile.cut(whole / parts)).collect();
    let fits = ways.iter().filter(|way| way.kept <= share * whole);
    let best = fits.min_by(|one, other| one.again.total_cmp(&other.again));
    let best = best.or_else(|| ways.iter().min_by(|one, other| one.kept.total_cmp(&other.kept)));
    Ok(best.cloned().unwrap_or(Cuts { ends: vec![], kept: whole, again: 0.0 }))
}

impl Profile {
    fn of(
        graph: &Graph,
        order: &Order,
        copies: impl Fn(NodeId) -> usize,
    ) -> Result<Self, GraphError> {
        let shapes = graph.shapes()?;
        let (mut until, mut alive) = (vec![0.0; order.end() + 1], vec![0.0; order.end() + 2]);
        let mut shared: Vec<(&Op, &[NodeId])> = Vec::new();
        for (id, node) in graph.nodes.iter().enumerate().skip(1) {
            let Some(time) = order.computed(id) else { continue };
            let (from, to) = (time, order.last_read(id).min(order.end() + 1));
            // Differences first: the value is alive from one time to the other.
            alive[from] += count(&shapes[id]);
            alive[to] -= count(&shapes[id]);
            let once = matches!(node.op, Op::RELU | Op::MaxPool(_) | Op::AvgPool(_));
            if once && shared.contains(&(&node.op, node.inputs.as_slice())) {
                continue;
            }
            if once {
                shared.push((&node.op, &node.inputs));
            }
            #[expect(clippy::cast_precision_loss, reason = "options are few")]
            let copies = copies(id) as f64;
            until[time] +=
                copies * needed(node, &shapes[id], node.reads().first().map(|at| &shapes[*at]));
        }
        let sum = |numbers: &mut [f64]| {
            (1..numbers.len()).for_each(|at| numbers[at] += numbers[at - 1]);
        };
        sum(&mut until);
        sum(&mut alive);
        Ok(Self { until, alive })
    }

    /// Times after which fewer values are alive than before and than after the next one.
    fn valleys(&self) -> Vec<NodeId> {
        let end = self.until.len() - 1;
        let mut falls = true;
        let mut found = vec![0];
        for time in 1..end {
            if self.alive[time] < self.alive[time - 1] {
                falls = true;
            }
            if self.alive[time + 1] > self.alive[time] && falls && time > 1 {
                found.push(time);
                falls = false;
            }
        }
        found.push(end);
        found
    }

    /// Cuts into segments that each keep at most `bound`, where that is possible, with the least
    /// kept across cuts.
    fn cut(&self, bound: f64) -> Cuts {
        let places = self.valleys();
        // The least for a cut at each place, and the place of the cut before.
        let mut best = vec![(f64::INFINITY, 0); places.len()];
        best[0].0 = 0.0;
        let last = places.len() - 1;
        for at in 1..places.len() {
            for before in (0..at).rev() {
                let size = self.until[places[at]] - self.until[places[before]];
                if size > bound && before + 1 < at {
                    break;
                }
                let own = if at == last {
                    WORTH * self.until[places[before]]
                } else {
                    self.alive[places[at]]
                };
                if best[before].0 + own < best[at].0 {
                    best[at] = (best[before].0 + own, before);
                }
            }
        }
        let mut ends = Vec::new();
        let mut at = best[last].1;
        while at > 0 {
            ends.push(places[at]);
            at = best[at].1;
        }
        ends.reverse();
        self.ways(ends)
    }

    fn ways(&self, ends: Vec<NodeId>) -> Cuts {
        let borders = std::iter::once(0).chain(ends.iter().copied());
        let to = ends.iter().copied().chain([self.until.len() - 1]);
        let sizes = borders.zip(to).map(|(from, to)| self.until[to] - self.until[from]);
        let largest = sizes.fold(0.0, f64::max);
        let across: f64 = ends.iter().map(|end| self.alive[*end]).sum();
        let again = ends.last().map_or(0.0, |end| self.until[*end]);
        Cuts { ends, kept: across + largest, again }
    }
}

/// What the backward pass of a node keeps of its own, roughly: its output, and maps of attention.
fn needed(node: &Node, output: &Shape, input: Option<&Shape>) -> f64 {
    let tokens = input.and_then(|shape| shape.first()).copied().unwrap_or(0);
    let maps = |heads: i64, maps: i64| count(&vec![heads, tokens, tokens]) * count(&vec![maps]);
    match &node.op {
        Op::RelativeAttention(spec) => maps(spec.heads.largest(), 3) + 4.0 * count(output),
        Op::CausalAttention(spec) => {
            let heads = spec.heads.values().into_iter().map(|(_, heads)| heads).sum();
            maps(heads, 3) + 4.0 * count(output)
        }
        Op::Input(_) | Op::Flatten(_) => 0.0,
        _ => count(output),
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of a map are far below 2^53")]
fn count(shape: &Shape) -> f64 {
    shape.iter().product::<i64>() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_core::graph::{Add, Builder, Conv2d, Size};

    /// Three blocks of two convolutions; the first of each has four times the channels.
    fn blocks() -> Graph {
        let mut builder = Builder::new(vec![2, 4, 4]);
        let mut x = builder.input();
        for block in 0..3 {
            let mut conv = |name: &str, inner: i64, out: i64, from| {
                let conv = Conv2d::pointwise(Size::Fixed(inner), Size::Fixed(out));
                builder.add(format!("{name}{block}"), Op::Conv2d(conv), &[from])
            };
            let wide = conv("wide", 2, 8, x);
            let narrow = conv("narrow", 8, 2, wide);
            x = builder.add(format!("out{block}"), Op::Add(Add), &[x, narrow]);
        }
        builder.finish(x).unwrap()
    }

    fn cuts(share: f64) -> Cuts {
        let graph = blocks();
        let used = vec![true; graph.nodes.len()];
        let order = Order::new(&graph, &used, |_| false, &[graph.output]);
        cut(&graph, &order, |_| 1, share).unwrap()
    }

    /// A block keeps 16 · (8 + 2 + 2) numbers, and 16 · 2 cross a cut behind it.
    #[test]
    fn a_pass_is_cut_behind_blocks_and_no_more_often_than_must_be() {
        assert_eq!(cuts(1.0), Cuts { ends: vec![], kept: 576.0, again: 0.0 });
        let two = cuts(0.75);
        assert_eq!(two, Cuts { ends: vec![3], kept: 384.0 + 32.0, again: 192.0 });
        let least = Cuts { ends: vec![3, 6], kept: 192.0 + 64.0, again: 384.0 };
        assert_eq!(cuts(0.5), least);
        assert_eq!(cuts(0.0), least, "as little as possible");
    }

    #[test]
    fn a_value_is_alive_until_it_was_read() {
        let graph = blocks();
        let used = vec![true; graph.nodes.len()];
        let order = Order::new(&graph, &used, |_| false, &[graph.output]);
        let alive = |time| order.alive_after(time).collect::<Vec<_>>();
        assert_eq!((alive(3), alive(4), alive(5)), (vec![3], vec![3, 4], vec![3, 5]));
        assert_eq!(alive(graph.output), [graph.output]);
        assert_eq!(order.dying(6), [3, 5]);
    }
}
