//! Files of a set that are packed by themselves, as MNIST's are: `train-images-idx3-ubyte.gz`.

use flate2::read::MultiGzDecoder;

use crate::gather::{Gathered, Kind};
use crate::refusal::Refusal;

/// Unpacks what is called as a part of such a set; all that comes out counts as the rest does.
pub(super) fn unpack(gathered: &mut Gathered) -> Result<(), Refusal> {
    let Gathered { items, spool, .. } = gathered;
    for item in items.iter_mut().filter(|item| item.kind == Kind::Gzip) {
        let name = item.name.shown();
        if !["idx", "images", "labels"].iter().any(|word| name.to_lowercase().contains(word)) {
            continue;
        }
        let packed = MultiGzDecoder::new(spool.open(item.place)?);
        let stored = spool.append(&format!("`{name}`"), &mut { packed })?;
        let kind = Kind::of(&stored.head, &item.name);
        (item.place, item.digest, item.kind) = (stored.place, stored.digest, kind);
    }
    Ok(())
}
