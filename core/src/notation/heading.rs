//! What may stand before an architecture: a name and `=`, a module, or the beginning of a log line.

/// Signs beside letters, digits and white space that a heading has.
const SIGNS: &str = "_-.,:/=>@*%[]";

/// Where the architecture begins, in bytes. Only white space, comments and the heading of its own
/// line are passed over.
pub(super) fn start(text: &str, preset: &str) -> usize {
    let base = super::literal::Reader::at(text, 0).blank();
    let rest = text.get(base..).unwrap_or_default();
    let line = first_line(rest);
    let places = || line.char_indices().map(|(at, _)| at);
    let named = places().find(|at| {
        let (before, after) = line.split_at(*at);
        begins(after, preset) && is_apart(before) && is_heading(before)
    });
    let bracket = || {
        places().find(|at| {
            let (before, after) = line.split_at(*at);
            after.starts_with(['[', '(', '{', '\'', '"'])
                && before.trim_end().ends_with(['=', ':'])
                && is_heading(before)
        })
    };
    base + named.or_else(bracket).unwrap_or(0)
}

/// The first line, with the next one if it ends where something must follow.
fn first_line(text: &str) -> &str {
    let ends = text.match_indices('\n').map(|(at, _)| text.split_at(at).0);
    let mut whole = ends.filter(|line| !line.trim_end().ends_with(['=', ':']));
    whole.next().unwrap_or(text)
}

/// The last part of a dotted name.
pub(super) fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Whether an architecture that names itself begins here.
fn begins(text: &str, preset: &str) -> bool {
    let name = text.len()
        - text.trim_start_matches(|s: char| s.is_alphanumeric() || "_.".contains(s)).len();
    let (name, behind) = text.split_at(name);
    let called = behind.trim_start().starts_with('(');
    text.starts_with('|')
        || text.strip_prefix(preset).is_some_and(|rest| rest.starts_with('|'))
        || called && matches!(last_part(name), "Genotype" | "Structure" | "CellStructure")
}

/// Whether what follows is a word of its own.
fn is_apart(before: &str) -> bool {
    before.chars().next_back().is_none_or(|sign| sign.is_whitespace() || "=:]".contains(sign))
}

/// Whether a text says nothing about an architecture: words, a time, and brackets around such.
fn is_heading(text: &str) -> bool {
    let plain = |sign: char| sign.is_alphanumeric() || sign.is_whitespace() || SIGNS.contains(sign);
    let mut open = None;
    for (at, sign) in text.char_indices() {
        match (sign, open) {
            ('[', None) => open = Some(at),
            (']', Some(from)) if at > from + 1 => open = None,
            ('[' | ']', _) => return false,
            _ if !plain(sign) => return false,
            _ => {}
        }
    }
    let field =
        |word: &str| matches!(word, "normal" | "reduce" | "normal_concat" | "reduce_concat");
    let mut words = text.split(|sign: char| !(sign.is_alphanumeric() || sign == '_'));
    open.is_none() && !words.any(field)
}
