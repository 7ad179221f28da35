//! Pictures of any kind as pixels of one size, in preparation and in prediction alike.
//!
//! The rule:
//!
//! 1. Dimensions are looked at before anything is decoded: at most 16,384 pixels a side, and
//!    192 MiB decoded.
//! 2. Of an animation the first frame counts.
//! 3. Palettes and CMYK become RGB, 16 bits become 8 (divided by 257, rounded).
//! 4. What stands behind transparent parts is black, unless the picture stands out from white much
//!    more ([`ground`]).
//! 5. The middle part of the picture, as much of it as has the wanted aspect ratio, is scaled to
//!    the wanted size by linear interpolation over all pixels it covers; a picture of that size
//!    stays as it is.
//! 6. It is turned upright as EXIF says.
//! 7. For one channel, colours become grey by their brightness (BT.709).

mod fit;
pub mod ground;
mod look;

pub use fit::{Fitted, How, Target, fit, fit_raw};
pub(crate) use fit::{interleaved, planes};
pub use look::{Fault, Seen, guarded, look};
