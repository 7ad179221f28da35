//! Which weights go into the result package.

use skein_core::event::Rung;
use skein_core::spec::Packaged;

use crate::EngineError;
use crate::train::stage::Stage;

/// The rung that was asked for: of a stage the average of the weights, if one was kept. The best
/// one is judged by the validation images, never by the test set: by their accuracy, or (of a text)
/// by the loss.
pub(super) fn choose(
    packaged: Packaged,
    ladder: &[Rung],
    by_loss: bool,
) -> Result<Rung, EngineError> {
    let of_stage = |stage: Stage| {
        let named = |rung: &&Rung| {
            [true, false].map(|average| stage.rung(average)).contains(&rung.weights.as_str())
        };
        ladder.iter().rfind(named)
    };
    let merit = |rung: &Rung| match by_loss {
        true => -rung.valid_loss.0,
        false => rung.valid_accuracy.0,
    };
    let rung = match packaged {
        // Of equals the later one, which was trained for longer.
        Packaged::Best => ladder
            .iter()
            .filter(|rung| !merit(rung).is_nan())
            .max_by(|a, b| merit(a).total_cmp(&merit(b))),
        Packaged::Recalibrated => ladder.iter().find(|rung| rung.weights == "recalibrated"),
        Packaged::FineTuned => of_stage(Stage::FineTune),
        Packaged::FromScratch => of_stage(Stage::FromScratch),
    };
    rung.cloned().ok_or_else(|| EngineError::Bug("nothing was measured".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_core::number::Num;

    #[test]
    fn the_best_is_judged_by_validation_and_a_stage_gives_its_average() {
        let rung = |weights: &str, valid: f64, test: f64| Rung {
            weights: weights.to_owned(),
            valid_loss: Num(1.0),
            valid_accuracy: Num(valid),
            test_loss: Num(1.0),
            test_accuracy: Num(test),
            test_perplexity: None,
            test_bits_per_character: None,
        };
        let ladder = [
            rung("inherited", f64::NAN, 0.9),
            rung("recalibrated", 0.5, 0.9),
            rung("fine_tuned", 0.7, 0.6),
            rung("fine_tuned_ema", 0.7, 0.6),
            rung("from_scratch", 0.6, 0.8),
        ];
        let chosen = |packaged| choose(packaged, &ladder, false).unwrap().weights;
        assert_eq!(chosen(Packaged::Best), "fine_tuned_ema");
        assert_eq!(chosen(Packaged::Recalibrated), "recalibrated");
        assert_eq!(chosen(Packaged::FineTuned), "fine_tuned_ema");
        assert_eq!(chosen(Packaged::FromScratch), "from_scratch");
        assert!(choose(Packaged::Best, &[], false).is_err());
        let mut ladder = ladder;
        ladder[1].valid_loss = Num(0.5);
        assert_eq!(choose(Packaged::Best, &ladder, true).unwrap().weights, "recalibrated");
    }
}
