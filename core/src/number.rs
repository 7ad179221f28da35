//! Floating-point numbers that survive JSON, and durations in words.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number that may be not finite; `NaN` and the infinities travel as the strings `"NaN"`,
/// `"Infinity"` and `"-Infinity"`, because JSON has no word for them.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Num(pub f64);

impl From<f64> for Num {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl Num {
    /// The word for a number that is not finite.
    fn word(self) -> Option<&'static str> {
        match self.0 {
            value if value.is_nan() => Some("NaN"),
            f64::INFINITY => Some("Infinity"),
            f64::NEG_INFINITY => Some("-Infinity"),
            _ => None,
        }
    }
}

/// The shortest text that reads back as the same number, or the word that JSON uses.
impl std::fmt::Display for Num {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.word() {
            Some(word) => f.write_str(word),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Num {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.word() {
            Some(word) => serializer.serialize_str(word),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Num;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
            }
            fn visit_f64<E>(self, value: f64) -> Result<Num, E> {
                Ok(Num(value))
            }
            #[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles")]
            fn visit_i64<E>(self, value: i64) -> Result<Num, E> {
                Ok(Num(value as f64))
            }
            #[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles")]
            fn visit_u64<E>(self, value: u64) -> Result<Num, E> {
                Ok(Num(value as f64))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Num, E> {
                match value {
                    "NaN" => Ok(Num(f64::NAN)),
                    "Infinity" => Ok(Num(f64::INFINITY)),
                    "-Infinity" => Ok(Num(f64::NEG_INFINITY)),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// `8 s`, `2 min 05 s`, `3 h 12 min`, `2 d 03 h`; a dash if it cannot be told.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let s = seconds.round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {:02} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {:02} h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn non_finite_numbers_travel_as_strings() {
        let numbers = [1.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(Num);
        let text = serde_json::to_string(&numbers).unwrap();
        assert_eq!(text, r#"[1.5,"Infinity","-Infinity","NaN"]"#);
        assert_eq!(
            numbers.map(|number| number.to_string()),
            ["1.5", "Infinity", "-Infinity", "NaN"]
        );
        let back: [Num; 4] = serde_json::from_str(&text).unwrap();
        assert_eq!(back[..3], numbers[..3]);
        assert!(back[3].0.is_nan());
        assert!(serde_json::from_str::<Num>("\"nan\"").is_err());
    }

    #[rstest]
    #[case::seconds(7.6, "8 s")]
    #[case::minutes(125.0, "2 min 05 s")]
    #[case::hours(11_530.0, "3 h 12 min")]
    #[case::days(190_000.0, "2 d 04 h")]
    #[case::unknown(f64::NAN, "–")]
    fn a_duration_has_two_units(#[case] seconds: f64, #[case] words: &str) {
        assert_eq!(duration(seconds), words);
    }
}
