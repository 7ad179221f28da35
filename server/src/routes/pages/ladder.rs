//! What a network scores with which weights, in its own run and in those that train it again.

use skein_core::event::{Rung, Summary};

use super::format::{self, dash};
use crate::views::RunView;

/// The network with some weights.
pub(super) struct LadderRow {
    pub(super) name: String,
    /// Id and name of the run that trained it, if that was another one.
    pub(super) run: Option<(String, String)>,
    pub(super) packaged: bool,
    pub(super) width: String,
    pub(super) test: String,
    pub(super) valid: String,
    pub(super) loss: String,
    /// Of a text.
    pub(super) perplexity: String,
    /// Of a text.
    pub(super) bits: String,
}

/// What the network scores with which weights: first those of the run, then those that other runs
/// trained it to.
pub(super) fn ladder(run: &RunView, followers: &[RunView]) -> Vec<LadderRow> {
    let Some(summary) = &run.summary else { return Vec::new() };
    let same = |other: &&RunView| {
        let found = other.summary.as_ref().map(|other| &other.architecture);
        other.optimizer == "fixed" && found == Some(&summary.architecture)
    };
    let trained = |rung: &&Rung| !["inherited", "recalibrated"].contains(&rung.weights.as_str());
    let others = followers.iter().filter(same).flat_map(|other| {
        let rungs = other.summary.iter().flat_map(|summary| &summary.ladder).filter(trained);
        let of = (other.id.clone(), other.name.clone());
        rungs.map(move |rung| LadderRow {
            run: Some(of.clone()),
            packaged: false,
            ..row(rung, summary)
        })
    });
    summary.ladder.iter().map(|rung| row(rung, summary)).chain(others).collect()
}

fn row(rung: &Rung, summary: &Summary) -> LadderRow {
    LadderRow {
        name: match rung.weights.as_str() {
            "inherited" => "Inherited weights".to_owned(),
            "recalibrated" => "Inherited, batch norm recalibrated".to_owned(),
            "fine_tuned" => "Fine-tuned".to_owned(),
            "fine_tuned_ema" => "Fine-tuned, average of the weights".to_owned(),
            "from_scratch" => "Trained from scratch".to_owned(),
            "from_scratch_ema" => "Trained from scratch, average of the weights".to_owned(),
            other => other.to_owned(),
        },
        run: None,
        packaged: rung.weights == summary.packaged,
        width: format!("{:.2}", (rung.test_accuracy.0 * 100.0).clamp(0.0, 100.0)),
        test: format::percent(rung.test_accuracy),
        valid: format::percent(rung.valid_accuracy),
        loss: format::value(rung.test_loss),
        perplexity: rung.test_perplexity.map_or_else(dash, format::value),
        bits: rung.test_bits_per_character.map_or_else(dash, format::value),
    }
}
