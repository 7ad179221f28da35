//! Tests of the list on events made by hand.

use skein_core::event::{ArchitectureNow, Event, EventBody, Metrics, PhaseName};
use skein_core::number::Num;
use skein_core::spaces::{autoformer, build, toy_cell};
use skein_core::spec::Sharing;

use super::*;

fn toy() -> Graph {
    build(&(toy_cell::PRESET.defaults)(), toy_cell::PRESET.shape, Sharing::Entangled).unwrap()
}

struct Script {
    said: Said,
    graph: Graph,
}

impl Script {
    fn new(graph: Graph) -> Self {
        Self { said: Said::default(), graph }
    }

    fn say(&mut self, attempt: u32, body: EventBody) {
        self.said.add(&Event { seq: 1, attempt, at: String::new(), body });
    }

    fn architecture(&mut self, attempt: u32, step: u64, epoch: u64, first: usize) {
        let mut choices = vec![0; self.graph.choices.len()];
        choices[0] = first;
        let text = first.to_string();
        let cost = self.graph.cost(&Architecture(choices.clone())).unwrap();
        let now = ArchitectureNow {
            step,
            epoch,
            choices,
            text,
            cost,
            true_accuracy: None,
            true_rank: None,
        };
        self.say(attempt, EventBody::Architecture(now));
    }

    fn score(
        &mut self,
        attempt: u32,
        phase: PhaseName,
        (step, epoch): (u64, u64),
        score: (f64, f64),
    ) {
        let names = match phase {
            PhaseName::Search => ["valid_accuracy", "valid_loss"],
            _ => ["best_accuracy", "best_loss"],
        };
        let values = [score.0, score.1].map(Num);
        let values = names.map(str::to_owned).into_iter().zip(values).collect();
        self.say(attempt, EventBody::Metrics(Metrics { phase, step, epoch, values }));
    }

    /// An epoch of ten steps.
    fn epoch(&mut self, attempt: u32, epoch: u64, first: usize, score: (f64, f64)) {
        let step = 10 * (epoch + 1);
        self.score(attempt, PhaseName::Search, (step, epoch), score);
        self.architecture(attempt, step, epoch, first);
    }

    fn list(&self, searched: Option<u64>) -> Vec<EpochArchitecture> {
        let beyond = searched.map(|epochs| Beyond { epochs, before_rounds: Some(3) });
        self.said.list(&self.graph, beyond)
    }
}

fn texts(list: &[EpochArchitecture]) -> Vec<&str> {
    list.iter().map(|one| one.text.as_str()).collect()
}

#[test]
fn the_last_of_an_epoch_counts_and_a_later_attempt_supersedes() {
    let mut script = Script::new(toy());
    script.architecture(1, 5, 0, 3);
    script.epoch(1, 0, 1, (0.5, 1.0));
    script.epoch(1, 1, 2, (0.9, 0.2));
    script.epoch(1, 2, 3, (0.8, 0.3));
    assert_eq!(texts(&script.list(None)), ["1", "2", "3"]);
    // The second attempt goes on in the middle of epoch 1, which is not over in it.
    script.architecture(2, 14, 1, 0);
    let list = script.list(None);
    assert_eq!(texts(&list), ["1", "0"]);
    assert_eq!((list[0].valid_accuracy, list[1].valid_accuracy), (Some(Num(0.5)), None));
    assert_eq!(best(&list, false), Some(0));
    script.epoch(2, 1, 2, (0.4, 0.1));
    let list = script.list(None);
    assert_eq!((texts(&list), list[1].valid_accuracy), (vec!["1", "2"], Some(Num(0.4))));
}

#[test]
fn the_best_is_the_earliest_of_equals_and_of_texts_by_loss() {
    let mut script = Script::new(toy());
    for (epoch, score) in
        [(0.5, 1.0), (0.7, f64::NAN), (0.7, 0.9), (f64::NAN, 0.8)].into_iter().enumerate()
    {
        script.epoch(1, epoch as u64, epoch, score);
    }
    let list = script.list(None);
    assert_eq!((best(&list, false), best(&list, true)), (Some(1), Some(3)));
    assert_eq!(best(&[], false), None);
}

#[test]
fn generations_count_on_and_are_not_compared_with_epochs() {
    let mut script = Script::new(toy());
    script.epoch(1, 0, 1, (0.9, 1.0));
    script.epoch(1, 1, 1, (0.95, 1.0));
    for (generation, first, accuracy) in [(0, 2, 0.6), (1, 3, 0.7), (2, 3, 0.7)] {
        script.score(1, PhaseName::Select, (4 * (generation + 1), generation), (accuracy, 1.0));
        script.architecture(1, 20 + 4 * (generation + 1), 2 + generation, first);
    }
    let list = script.list(Some(2));
    let generations: Vec<Option<u64>> = list.iter().map(|one| one.generation).collect();
    assert_eq!(generations, [None, None, Some(0), Some(1), Some(2)]);
    assert_eq!(list[3].valid_accuracy, Some(Num(0.7)));
    assert_eq!(best(&list, false), Some(3));
    assert_eq!(best(&script.list(None), false), Some(1));
}

#[test]
fn rounds_of_finalists_follow_the_generations_and_come_first_as_the_best() {
    let mut script = Script::new(toy());
    script.epoch(1, 0, 1, (0.9, 1.0));
    script.score(1, PhaseName::Select, (4, 2), (0.8, 1.0));
    script.architecture(1, 14, 3, 2);
    for (round, first, accuracy) in [(0, 3, 0.5), (1, 2, 0.6)] {
        // Steps of another phase than the generations'.
        script.score(1, PhaseName::Finalists, (3 * (round + 1), round), (accuracy, 1.0));
        script.architecture(1, 20 + round, 4 + round, first);
    }
    let list = script.list(Some(1));
    let kinds: Vec<_> = list.iter().map(|one| (one.generation, one.round)).collect();
    assert_eq!(kinds, [(None, None), (Some(2), None), (None, Some(0)), (None, Some(1))]);
    assert_eq!(list[2].valid_accuracy, Some(Num(0.5)));
    assert_eq!(best(&list, false), Some(3));
}

#[test]
fn only_what_matters_is_counted_and_derived() {
    let preset = &autoformer::TINY;
    let graph = build(&(preset.defaults)(), preset.shape, Sharing::Entangled).unwrap();
    let depth = graph.choices.iter().position(|choice| choice.tensor == "depth").unwrap();
    let beyond = graph.choices.iter().rposition(|choice| choice.when.is_some()).unwrap();
    let mut script = Script::new(graph);
    script.epoch(1, 0, 1, (0.5, 1.0));
    script.epoch(1, 1, 2, (0.5, 1.0));
    let mut list = script.list(None);
    list[1].choices[beyond] = 1;
    count_changes(&mut list, &script.graph);
    let counts: Vec<_> = list.iter().map(|one| (one.changes, one.changes_to_last)).collect();
    assert_eq!(counts, [(None, 1), (Some(1), 0)]);

    let summary = |choices: Vec<usize>| {
        let cost = list[0].cost;
        let found = Num(0.5);
        Summary {
            architecture: "found".to_owned(),
            choices,
            cost,
            latency_ms: None,
            ladder: Vec::new(),
            packaged: String::new(),
            valid_accuracy: found,
            test_accuracy: found,
            duration_s: found,
        }
    };
    let mut same = list[1].choices.clone();
    same[beyond] = 0;
    let mut labelled = list.clone();
    label_derived(&mut labelled, &script.graph, &summary(same.clone()));
    assert_eq!((labelled.len(), &labelled[1].labels[..]), (2, &[ArchitectureLabel::Derived][..]));
    same[depth] = 2;
    let mut added = list.clone();
    label_derived(&mut added, &script.graph, &summary(same));
    count_changes(&mut added, &script.graph);
    assert_eq!((added.len(), added[2].epoch, added[2].changes), (3, None, Some(1)));
    // What does not belong to the space is left out.
    label_derived(&mut labelled, &script.graph, &summary(vec![0]));
    assert_eq!(labelled.len(), 2);
}
