//! A search that goes wrong is told, goes back, or ends early; interruptions change nothing.

use rstest::rstest;
use serde_json::{Value, json};
use skein_core::event::{EventBody, PhaseName};

use crate::harness::{Run, merge, wait, warnings};

/// Diverges at its full learning rate: decay alone multiplies a weight by -2.5 in each step, at a quarter
/// of the rate by 0.1.
fn diverging(patch: &Value) -> Value {
    let mut spec = json!({
        "search": {
            "weight_lr": 3.5, "weight_lr_min": 3.5, "weight_decay": 1, "clip": 1e9, "epochs": 5, "on_nonfinite": "rollback",
            "weight_optimizer": {"kind": "sgd", "momentum": 0, "nesterov": false},
        },
        "after": {"fit_epochs": 0},
        "resources": {"checkpoint_every": 5}
    });
    merge(&mut spec, patch);
    spec
}

#[test]
fn a_diverging_search_goes_back_with_half_the_rate_and_a_killed_one_alike() {
    let whole = Run::new(&diverging(&json!({})));
    let status = whole.finish(1);
    let told = whole.events(1).into_iter().filter_map(|event| match event.body {
        EventBody::Warning(warning) if warning.code == "rolled_back" => Some(warning.message),
        _ => None,
    });
    let told: Vec<String> = told.collect();
    assert!(status.success(), "{told:?} {:?}", whole.record());
    assert!(!told.is_empty());
    assert!(told[0].contains("with 0.5 times the learning rates (1 of 3)"), "{told:?}");
    // The newest checkpoint is finite, but no rate saves its weights.
    let steps = told.iter().map(|text| {
        let (_, rest) = text.split_once("checkpoint at step ").unwrap();
        rest.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    let steps: Vec<u64> = steps.collect();
    assert!(steps.len() > 1 && steps.is_sorted_by(|a, b| a > b), "{told:?}");
    assert!(whole.computed(1).iter().all(|line| !line.contains("NaN")), "{told:?}");
    let run = Run::new(&diverging(&json!({})));
    let mut child = run.start(1);
    run.wait_for(1, "warning", 1, &mut child);
    child.kill().unwrap();
    wait(&mut child);
    let mut child = run.start(2);
    run.wait_for(2, "checkpoint", 2, &mut child);
    child.kill().unwrap();
    wait(&mut child);
    assert!(run.finish(3).success());
    assert_eq!(run.computed(3), whole.computed(1));
    assert_eq!(run.artifact(3, "model.safetensors"), whole.artifact(1, "model.safetensors"));
}

#[test]
fn a_search_that_diverges_at_any_rate_fails_in_the_end() {
    let run = Run::new(&diverging(
        &json!({"search": {"weight_lr": 10, "weight_lr_min": 10, "epochs": 12, "weight_optimizer": {"momentum": 0.99, "nesterov": true}}}),
    ));
    assert_eq!(run.finish(1).code(), Some(1));
    let back = warnings(&run.events(1)).into_iter().filter(|code| code == "rolled_back").count();
    assert_eq!(back, 3);
    assert_eq!(run.record().unwrap()["outcome"]["failure"]["class"], "user");
}

#[rstest]
#[case::uninterrupted(&[])]
#[case::killed(&[4, 1])]
fn a_search_in_which_nothing_changes_ends_early(#[case] deaths: &[usize]) {
    let run = Run::new(&json!({
        "search": {"arch_lr": 0, "epochs": 9, "patience_epochs": 2},
        "after": {"fit_epochs": 0}
    }));
    for (count, attempt) in deaths.iter().zip(1..) {
        let mut child = run.start(attempt);
        run.wait_for(attempt, "metrics", *count, &mut child);
        let _ = child.kill();
        wait(&mut child);
    }
    let last = u32::try_from(deaths.len()).unwrap() + 1;
    assert!(run.finish(last).success());
    let epochs = run.computed(last);
    let epochs = epochs.iter().filter(|line| line.contains(",valid_loss,")).count();
    assert_eq!(epochs, 3, "the first, and two in which nothing changed");
    let done = run.events(last).into_iter().rev().find_map(|event| match event.body {
        EventBody::Progress(progress) if progress.phase == PhaseName::Search => Some(progress),
        _ => None,
    });
    assert!(done.is_none_or(|done| done.step == done.total_steps));
}
