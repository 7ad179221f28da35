//! How architectures have children: mutation, crossover, and strangers.
//!
//! A genome is an architecture, one gene a choice. Genes that decide nothing (of layers beyond the
//! chosen depth, for example) are kept at 0, so that one network is one genome. A gene that begins
//! to decide is drawn anew in a mutation; in a crossover it comes from the parent in which it
//! decides.

use std::collections::HashSet;

use rand_xoshiro::Xoshiro256PlusPlus;
use skein_core::choice::Architecture;

use crate::state::seed::below;

/// Failures for each child that is asked for, before fewer have to do.
const TRIES: usize = 10;
/// Random draws for a stranger before one is repaired.
const DRAWS: usize = 100;
/// A space of at most so many genomes is looked through for those that nobody drew.
const ENUMERABLE: usize = 1 << 17;

/// A space as breeding sees it.
pub trait Domain {
    /// Number of options of each gene.
    fn options(&self) -> &[usize];
    /// Which genes decide anything.
    fn decides(&self, genome: &Architecture) -> Vec<bool>;
    /// Whether a gene decides on the network's structure (depth, width of the embedding).
    fn is_structure(&self, gene: usize) -> bool;
    /// Turns a genome into one of the space, where not every combination of genes is one; `draw`
    /// gives a uniform number below another.
    fn settle(&self, _genome: &mut Architecture, _draw: &mut dyn FnMut(usize) -> usize) {}
    /// Whether the genome may be a candidate.
    fn allows(&self, genome: &Architecture) -> bool;
    /// What a genome costs, where accuracy is traded for cost.
    fn cost(&self, _genome: &Architecture) -> u64 {
        0
    }
    /// A genome that is allowed for certain, if there is any; others are moved towards it.
    fn refuge(&self) -> Option<&Architecture>;
}

/// Makes children that were never seen before.
pub(super) struct Breeder<'a> {
    pub(super) domain: &'a dyn Domain,
    pub(super) generator: Xoshiro256PlusPlus,
    pub(super) seen: &'a mut HashSet<Architecture>,
}

impl Breeder<'_> {
    /// Adds up to `count` children to a population.
    pub(super) fn fill(
        &mut self,
        population: &mut Vec<Architecture>,
        count: usize,
        mut child: impl FnMut(&mut Self) -> Architecture,
    ) {
        let goal = population.len() + count;
        for _ in 0..count * TRIES {
            if population.len() == goal {
                return;
            }
            let child = child(self);
            self.admit(population, child);
        }
    }

    /// One parent's child: each gene is drawn anew with a probability.
    pub(super) fn mutant(
        &mut self,
        parents: &[Architecture],
        (usual, structure): (f64, f64),
    ) -> Architecture {
        let parent = &parents[below(&mut self.generator, parents.len())];
        let mut child = parent.clone();
        for gene in 0..child.0.len() {
            let prob = if self.domain.is_structure(gene) { structure } else { usual };
            if self.chance(prob) {
                child.0[gene] = self.draw(gene);
            }
        }
        let (before, after) = (self.domain.decides(parent), self.domain.decides(&child));
        for gene in 0..child.0.len() {
            if after[gene] && !before[gene] {
                child.0[gene] = self.draw(gene);
            }
        }
        self.canonical(child)
    }

    /// Two parents' child: each gene from either.
    pub(super) fn crossover(&mut self, parents: &[Architecture]) -> Architecture {
        let mut pick = || below(&mut self.generator, parents.len());
        let (one, other) = (&parents[pick()], &parents[pick()]);
        let (in_one, in_other) = (self.domain.decides(one), self.domain.decides(other));
        let genes = 0..one.0.len();
        let child = genes.map(|gene| {
            let coin = self.chance(0.5);
            let first = if in_one[gene] == in_other[gene] { coin } else { in_one[gene] };
            if first { one.0[gene] } else { other.0[gene] }
        });
        let child = Architecture(child.collect());
        self.canonical(child)
    }

    /// Adds up to `count` uniform random genomes.
    ///
    /// Where limits leave hardly any, one is moved gene by gene, in random order, towards the
    /// domain's refuge until it is allowed, and at last the whole space is looked through if it is
    /// small enough.
    pub(super) fn strangers(&mut self, population: &mut Vec<Architecture>, count: usize) {
        let goal = population.len() + count;
        while population.len() < goal {
            let drawn = (0..DRAWS).any(|_| {
                let genome = self.random();
                self.admit(population, genome)
            });
            if drawn {
                continue;
            }
            let repaired = (0..DRAWS).any(|_| {
                let genome = self.repaired();
                self.admit(population, genome)
            });
            if !repaired {
                return self.rest(population, goal);
            }
        }
    }

    fn random(&mut self) -> Architecture {
        let genes = 0..self.domain.options().len();
        let genome = Architecture(genes.map(|gene| self.draw(gene)).collect());
        self.canonical(genome)
    }

    fn repaired(&mut self) -> Architecture {
        let mut genome = self.random();
        let Some(refuge) = self.domain.refuge() else { return genome };
        let mut order: Vec<usize> = (0..genome.0.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, below(&mut self.generator, last + 1));
        }
        for gene in order {
            if self.domain.allows(&genome) {
                break;
            }
            genome.0[gene] = refuge.0[gene];
        }
        self.canonical(genome)
    }

    /// Looks the space through, from a random genome on.
    fn rest(&mut self, population: &mut Vec<Architecture>, goal: usize) {
        let options = self.domain.options();
        let count = options.iter().try_fold(1_usize, |count, n| count.checked_mul(*n));
        let Some(count) = count.filter(|count| (1..=ENUMERABLE).contains(count)) else { return };
        let first = below(&mut self.generator, count);
        for step in 0..count {
            if population.len() == goal {
                return;
            }
            let mut number = (first + step) % count;
            let genes = options.iter().map(|n| {
                let gene = number % n;
                number /= n;
                gene
            });
            let genome = Architecture(genes.collect());
            let genome = self.canonical(genome);
            self.admit(population, genome);
        }
    }

    /// Adds a genome that is allowed and new.
    fn admit(&mut self, population: &mut Vec<Architecture>, genome: Architecture) -> bool {
        let admitted = self.domain.allows(&genome) && self.seen.insert(genome.clone());
        if admitted {
            population.push(genome);
        }
        admitted
    }

    fn canonical(&mut self, mut genome: Architecture) -> Architecture {
        let generator = &mut self.generator;
        self.domain.settle(&mut genome, &mut |bound| below(generator, bound));
        let decides = self.domain.decides(&genome);
        let genes = genome.0.into_iter().zip(decides);
        Architecture(genes.map(|(gene, decides)| if decides { gene } else { 0 }).collect())
    }

    fn draw(&mut self, gene: usize) -> usize {
        below(&mut self.generator, self.domain.options()[gene])
    }

    #[expect(clippy::cast_precision_loss, reason = "2^53 is exact")]
    fn chance(&mut self, prob: f64) -> bool {
        const STEPS: usize = 1 << 53;
        (below(&mut self.generator, STEPS) as f64) < prob * STEPS as f64
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::state::seed::{Stream, generator};

    /// Genes with three options; the first is the depth: at 0 the last gene decides nothing. The
    /// sum of the genes is limited.
    pub(in crate::search) struct Toy {
        pub(in crate::search) genes: usize,
        pub(in crate::search) limit: usize,
    }

    const OPTIONS: [usize; 16] = [3; 16];
    static ZEROS: std::sync::LazyLock<Vec<Architecture>> =
        std::sync::LazyLock::new(|| (0..16).map(|n| Architecture(vec![0; n])).collect());

    impl Toy {
        pub(in crate::search) fn is_canonical(&self, genome: &Architecture) -> bool {
            genome.0[0] > 0 || genome.0[self.genes - 1] == 0
        }

        /// Different networks, were there no limit.
        pub(in crate::search) fn count(&self) -> usize {
            let rest = 3_usize.pow(u32::try_from(self.genes - 2).unwrap());
            rest + 2 * rest * 3
        }
    }

    impl Domain for Toy {
        fn options(&self) -> &[usize] {
            &OPTIONS[..self.genes]
        }

        fn decides(&self, genome: &Architecture) -> Vec<bool> {
            (0..self.genes).map(|gene| gene + 1 < self.genes || genome.0[0] > 0).collect()
        }

        fn is_structure(&self, gene: usize) -> bool {
            gene == 0
        }

        fn allows(&self, genome: &Architecture) -> bool {
            genome.0.iter().sum::<usize>() <= self.limit
        }

        fn cost(&self, genome: &Architecture) -> u64 {
            genome.0.iter().sum::<usize>() as u64
        }

        fn refuge(&self) -> Option<&Architecture> {
            Some(&ZEROS[self.genes])
        }
    }

    fn with<T>(domain: &Toy, seed: u64, task: impl FnOnce(&mut Breeder<'_>) -> T) -> T {
        let mut seen = HashSet::new();
        let generator = generator(seed, Stream::Breed, 0);
        task(&mut Breeder { domain, generator, seen: &mut seen })
    }

    #[test]
    fn a_mutation_changes_as_many_genes_as_its_probabilities_say() {
        let domain = Toy { genes: 10, limit: 99 };
        let parent = [Architecture(vec![1; 10])];
        let (mut structure, mut usual) = (0, 0);
        for seed in 0..2000 {
            let child = with(&domain, seed, |breeder| breeder.mutant(&parent, (0.3, 0.6)));
            structure += usize::from(child.0[0] != 1);
            usual += child.0[1..9].iter().filter(|gene| **gene != 1).count();
        }
        // A gene drawn anew stays the same once in three.
        let near = |count: usize, expected: f64| {
            let count = f64::from(u32::try_from(count).unwrap());
            assert!((count / expected - 1.0).abs() < 0.06, "{count} instead of {expected}");
        };
        near(structure, 2000.0 * 0.6 * 2.0 / 3.0);
        near(usual, 2000.0 * 8.0 * 0.3 * 2.0 / 3.0);
    }

    #[test]
    fn a_child_has_genes_of_its_parents_only() {
        let domain = Toy { genes: 8, limit: 99 };
        let parents = [Architecture(vec![0; 8]), Architecture(vec![2; 8])];
        let mut mixed = 0;
        for seed in 0..200 {
            let child = with(&domain, seed, |breeder| breeder.crossover(&parents));
            assert!(child.0.iter().all(|gene| [0, 2].contains(gene)));
            // Where the child is deep, the last gene comes from the parent that is.
            let deep_from_both = child.0[0] == 2 && child.0.contains(&0);
            assert!(!deep_from_both || child.0[7] == 2, "{child:?}");
            mixed += usize::from(deep_from_both);
        }
        assert!(mixed > 30, "{mixed}");
    }

    #[test]
    fn tight_limits_still_leave_strangers() {
        let domain = Toy { genes: 15, limit: 2 };
        let mut population = Vec::new();
        with(&domain, 5, |breeder| breeder.strangers(&mut population, 20));
        assert_eq!(population.len(), 20);
        assert!(population.iter().all(|genome| domain.allows(genome)));
    }
}
