//! Identifiers.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// A kind of identifier: a `UUIDv7`, so that ids sort by creation time.
macro_rules! identifier {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(
            Debug,
            Clone,
            Copy,
            PartialEq,
            Eq,
            Hash,
            PartialOrd,
            Ord,
            Serialize,
            Deserialize,
            derive_more::Display,
            derive_more::FromStr,
        )]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, larger than every earlier one of this process.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "no id is a default")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// Reads the hyphenated lower-case form, the only one that names a folder.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let id: Self = text.parse().ok()?;
                (id.to_string() == text).then_some(id)
            }

            /// When what it names was created.
            #[must_use]
            pub fn created_at(self) -> OffsetDateTime {
                created_at(self.0)
            }
        }
    };
}

identifier! {
    /// Identifier of a run; a `UUIDv7`, so that ids sort by creation time.
    RunId
}

identifier! {
    /// Identifier of a study; a `UUIDv7`, so that ids sort by creation time.
    StudyId
}

fn created_at(id: Uuid) -> OffsetDateTime {
    let (seconds, nanos) = id.get_timestamp().map_or((0, 0), |at| at.to_unix());
    let seconds = i64::try_from(seconds).unwrap_or(0);
    let at = OffsetDateTime::from_unix_timestamp(seconds);
    at.unwrap_or(OffsetDateTime::UNIX_EPOCH) + std::time::Duration::from_nanos(nanos.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_creation_and_read_back() {
        let ids: Vec<RunId> = (0..100).map(|_| RunId::new()).collect();
        assert!(ids.is_sorted());
        assert_eq!(RunId::parse(&ids[3].to_string()), Some(ids[3]));
        assert_eq!(RunId::parse(&ids[3].to_string().to_uppercase()), None);
        assert_eq!(RunId::parse("../etc/passwd"), None);
        let study = StudyId::new();
        assert_eq!(StudyId::parse(&study.to_string()), Some(study));
        assert_eq!(StudyId::parse("../etc/passwd"), None);
        let age = OffsetDateTime::now_utc() - ids[0].created_at();
        assert!(age.whole_seconds().abs() < 5, "{age}");
    }
}
