//! A stream of tokens in windows; a batch gathers some of them, the stream is never copied.

use tch::{Device, Kind, Tensor};

use crate::EngineError;
use crate::search::bilevel::Batch;
use crate::search::sampler::At;
use crate::state::seed::{below, generator};

/// Tokens of a batch of an evaluation at most.
const TOKENS_AT_ONCE: usize = 1 << 14;
/// Scores of such a batch at most: a large vocabulary makes them many.
const SCORES_AT_ONCE: usize = 1 << 24;

/// Windows side by side, the last of them followed by one more token.
#[derive(Debug)]
pub struct Windows {
    /// `[tokens]`, as narrow as the vocabulary allows.
    tokens: Tensor,
    /// `0..=context`.
    span: Tensor,
    context: usize,
    vocabulary: usize,
}

impl Windows {
    /// Cuts a stream into windows of `context` tokens.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn new(tokens: Tensor, context: usize, vocabulary: usize) -> Result<Self, EngineError> {
        let end = i64::try_from(context).unwrap_or(i64::MAX - 1) + 1;
        let span = Tensor::f_arange(end, (Kind::Int64, tokens.device()))?;
        Ok(Self { tokens, span, context, vocabulary })
    }

    /// The same windows, for another thread.
    #[must_use]
    pub fn share(&self) -> Self {
        Self { tokens: self.tokens.shallow_clone(), span: self.span.shallow_clone(), ..*self }
    }

    /// Number of windows.
    #[must_use]
    pub fn count(&self) -> usize {
        let tokens = usize::try_from(self.tokens.size()[0]).unwrap_or(0);
        tokens.saturating_sub(1) / self.context.max(1)
    }

    /// Tokens of a window.
    #[must_use]
    pub fn context(&self) -> usize {
        self.context
    }

    /// Most windows that an evaluation should take at once.
    #[must_use]
    pub fn at_once(&self) -> usize {
        let scores = SCORES_AT_ONCE / (self.context * self.vocabulary).max(1);
        (TOKENS_AT_ONCE / self.context.max(1)).min(scores).max(1)
    }

    /// Where the tokens lie.
    #[must_use]
    pub fn device(&self) -> Device {
        self.tokens.device()
    }

    /// The windows at these positions.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn batch(&self, positions: &[i64]) -> Result<Batch, EngineError> {
        let context = i64::try_from(self.context).unwrap_or(i64::MAX);
        self.gather(positions.iter().map(|position| position * context).collect())
    }

    /// The windows at these positions, each begun up to a window later where `goes_on` says that
    /// the next window may be read too: so every alignment of the text is seen.
    ///
    /// # Errors
    /// - [`EngineError::Tensor`] if memory runs out.
    pub fn shifted(
        &self,
        positions: &[i64],
        goes_on: impl Fn(i64) -> bool,
        at: At,
    ) -> Result<Batch, EngineError> {
        let mut generator = generator(at.seed, at.stream, at.step);
        let context = i64::try_from(self.context).unwrap_or(i64::MAX);
        let starts = positions.iter().map(|position| {
            // Drawn for every window, so that a window's shift does not hang on its neighbours.
            let shift = below(&mut generator, self.context);
            let shift = if goes_on(*position) { i64::try_from(shift).unwrap_or(0) } else { 0 };
            position * context + shift
        });
        self.gather(starts.collect())
    }

    fn gather(&self, starts: Vec<i64>) -> Result<Batch, EngineError> {
        let (rows, context) = (starts.len(), i64::try_from(self.context).unwrap_or(i64::MAX));
        let starts = Tensor::f_from_slice(&starts)?.f_to(self.device())?.f_unsqueeze(1)?;
        let at = starts.f_add(&self.span)?.f_view([-1])?;
        let rows = i64::try_from(rows).unwrap_or(0);
        let tokens = self.tokens.f_index_select(0, &at)?.f_to_kind(Kind::Int64)?;
        let tokens = tokens.f_view([rows, context + 1])?;
        let part = |first| tokens.f_narrow(1, first, context)?.f_contiguous();
        Ok(Batch { x: part(0)?, y: part(1)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::seed::Stream;

    fn windows() -> Windows {
        Windows::new(Tensor::arange(23, (Kind::Int16, Device::Cpu)), 4, 23).unwrap()
    }

    fn rows(tensor: &Tensor) -> Vec<Vec<i64>> {
        Vec::<Vec<i64>>::try_from(tensor).unwrap()
    }

    #[test]
    fn a_label_is_the_next_token_and_the_last_window_has_one() {
        let windows = windows();
        assert_eq!(windows.count(), 5);
        let batch = windows.batch(&[4, 0]).unwrap();
        assert_eq!(rows(&batch.x), [[16, 17, 18, 19], [0, 1, 2, 3]]);
        assert_eq!(rows(&batch.y), [[17, 18, 19, 20], [1, 2, 3, 4]]);
        let exact = Windows::new(Tensor::arange(8, (Kind::Int16, Device::Cpu)), 4, 8).unwrap();
        assert_eq!(exact.count(), 1, "the last token of a second window has no next one");
    }

    #[test]
    fn a_shift_stays_within_what_may_be_read() {
        let windows = windows();
        let mut seen = std::collections::BTreeSet::new();
        for step in 0..50 {
            let at = At { seed: 3, stream: Stream::WeightAugment, step };
            let batch = windows.shifted(&[0, 1, 2], |position| position < 2, at).unwrap();
            let starts: Vec<i64> = rows(&batch.x).iter().map(|row| row[0]).collect();
            assert!((0..4).contains(&starts[0]) && (4..8).contains(&starts[1]), "{starts:?}");
            assert_eq!(starts[2], 8, "the next window belongs to another part");
            seen.insert(starts[0]);
            let again = windows.shifted(&[0, 1, 2], |position| position < 2, at).unwrap();
            assert_eq!(again.x, batch.x);
        }
        assert_eq!(seen.len(), 4);
    }

    #[test]
    fn an_evaluation_takes_fewer_windows_of_a_large_vocabulary() {
        let of = |context, vocabulary| {
            let tokens = Tensor::zeros([9], (Kind::Int, Device::Cpu));
            Windows::new(tokens, context, vocabulary).unwrap().at_once()
        };
        assert_eq!((of(256, 65), of(224, 50_304), of(65_536, 50_304)), (64, 1, 1));
    }
}
