//! What a cluster has: its partitions, their nodes and their GPUs.

use std::collections::BTreeMap;

use super::transport::SlurmError;

/// What `sinfo` is asked for: a line for each partition, state and kind of node.
pub(super) const COLUMNS: &str = "%R|%a|%l|%D|%T|%G";

/// Nodes that take the same jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// Whether it takes jobs.
    pub is_up: bool,
    /// The longest time limit of a job, as Slurm writes it.
    pub time_limit: String,
    /// How many nodes are in which state.
    pub nodes: BTreeMap<String, u64>,
    /// How many GPUs of which kind its nodes have.
    pub gpus: BTreeMap<String, u64>,
}

impl Partition {
    /// Adds nodes of one kind that are in one state.
    pub(super) fn add(&mut self, count: u64, state: &str, resources: &str) {
        *self.nodes.entry(plain(state)).or_default() += count;
        for (kind, number) in gpus(resources) {
            *self.gpus.entry(kind).or_default() += count * number;
        }
    }

    /// In words, for example `4 nodes: 3 idle, 1 mixed`.
    #[must_use]
    pub fn nodes_in_words(&self) -> String {
        let states: Vec<String> =
            self.nodes.iter().map(|(state, count)| format!("{count} {state}")).collect();
        match self.nodes.values().sum::<u64>() {
            0 => "no nodes".to_owned(),
            1 => format!("1 node: {}", states.join(", ")),
            sum => format!("{sum} nodes: {}", states.join(", ")),
        }
    }

    /// In words, for example `8 × h100`; `none` without any.
    #[must_use]
    pub fn gpus_in_words(&self) -> String {
        let kinds: Vec<String> =
            self.gpus.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
        if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
    }
}

/// A state without the marks that `sinfo` puts behind it, for example for a node that does not answer.
fn plain(state: &str) -> String {
    let word = state.trim_end_matches(|mark: char| !mark.is_ascii_alphanumeric()).to_lowercase();
    if state.ends_with('*') { format!("{word} without an answer") } else { word }
}

/// The GPUs of `gpu:h100:4(S:0-1),shard:8` by kind.
fn gpus(resources: &str) -> Vec<(String, u64)> {
    let mut inside = 0_u32;
    // A comma in brackets parts sockets, not resources.
    let parts = resources.split(move |letter: char| {
        match letter {
            '(' => inside += 1,
            ')' => inside = inside.saturating_sub(1),
            _ => {}
        }
        letter == ',' && inside == 0
    });
    let one = |part: &str| {
        let words: Vec<&str> = part.split('(').next()?.split(':').collect();
        let (kind, count) = match words.as_slice() {
            ["gpu"] => ("GPU", "1"),
            ["gpu", count] => ("GPU", *count),
            ["gpu", kind, count, ..] => (*kind, *count),
            _ => return None,
        };
        Some((kind.to_owned(), count.parse().ok()?))
    };
    parts.filter_map(one).collect()
}

/// What `sinfo` says.
pub(super) fn read(text: &str) -> Result<Vec<Partition>, SlurmError> {
    let mut found: Vec<Partition> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let parts: Vec<&str> = line.split('|').collect();
        let &[name, state, limit, count, nodes, resources] = parts.as_slice() else {
            return Err(SlurmError::nonsense("sinfo", line));
        };
        let Ok(count) = count.parse() else { return Err(SlurmError::nonsense("sinfo", line)) };
        let at = found.iter().position(|known| known.name == name).unwrap_or_else(|| {
            let (name, time_limit) = (name.to_owned(), limit.to_owned());
            found.push(Partition {
                name,
                time_limit,
                is_up: state == "up",
                ..Partition::default()
            });
            found.len() - 1
        });
        found[at].add(count, nodes, resources);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_partition_are_added_up() {
        let text = "gpu|up|2-00:00:00|3|idle|gpu:h100:4(S:0-1),shard:8\n\
                    gpu|up|2-00:00:00|1|down*|gpu:h100:4(S:0,1),gpu:a40:2\n\
                    cpu|drain|infinite|2|mixed|(null)\n";
        let found = read(text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name.as_str(), found[0].is_up), ("gpu", true));
        assert_eq!(found[0].nodes_in_words(), "4 nodes: 1 down without an answer, 3 idle");
        assert_eq!(found[0].gpus_in_words(), "2 × a40, 16 × h100");
        assert_eq!((found[1].is_up, found[1].time_limit.as_str()), (false, "infinite"));
        assert_eq!(found[1].gpus_in_words(), "none");
    }

    #[test]
    fn gpus_without_a_kind_and_nonsense() {
        assert_eq!(gpus("gpu:2"), [("GPU".to_owned(), 2)]);
        assert_eq!(gpus("gpu"), [("GPU".to_owned(), 1)]);
        assert_eq!(gpus("(null)"), []);
        let error = read("Welcome to the login node!").unwrap_err().to_string();
        assert_eq!(
            error,
            "`sinfo` answered what Skein does not understand: Welcome to the login node!"
        );
    }
}
