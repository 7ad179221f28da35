//! One class of the Python: a scope's text, and arguments where its uses differ in numbers.

use super::code::{Code, Number, family, statement};

/// Scopes of one text but for their numbers.
pub(super) struct Class {
    pub(super) name: String,
    /// One per use.
    pub(super) bodies: Vec<Body>,
}

/// What a scope says.
#[derive(Debug)]
pub(super) struct Body {
    /// Its name within the network.
    pub(super) used_as: String,
    /// Arguments of its `forward`.
    pub(super) inputs: Vec<String>,
    /// Attributes with what they are.
    pub(super) attributes: Vec<(String, Code)>,
    /// What its `forward` does.
    pub(super) lines: Vec<Line>,
    /// The variable that is returned.
    pub(super) output: String,
}

/// A line of a `forward`.
#[derive(Debug)]
pub(super) struct Line {
    /// The variable that is set.
    pub(super) name: String,
    /// Its value.
    pub(super) value: Code,
    /// The value's shape.
    pub(super) shape: Code,
    /// Whether the shape is worth saying.
    pub(super) says: bool,
}

/// An argument of a class.
struct Argument {
    name: String,
    family: String,
    /// Its value at every use.
    values: Vec<String>,
    /// Whether `forward` reads it.
    kept: bool,
}

/// A number at one place of a class's text.
struct Place {
    label: String,
    /// The attribute or variable that it belongs to.
    owner: String,
    /// Its value at every use.
    values: Vec<String>,
    /// Whether it stands in `forward`.
    forward: bool,
}

impl Body {
    /// Everything but the numbers.
    fn skeleton(&self) -> impl Iterator<Item = Option<&str>> {
        let inputs = self.inputs.iter().map(|input| Some(input.as_str()));
        let attributes = self.attributes.iter().flat_map(|(name, code)| said(name, code));
        let lines = self.lines.iter().flat_map(|line| said(&line.name, &line.value));
        inputs.chain(attributes).chain(lines).chain([Some(self.output.as_str())])
    }

    /// The numbers of modules and values with what they belong to, in the order of the text, and
    /// whether they stand in `forward`.
    fn numbers(&self) -> impl Iterator<Item = (&str, &Number, bool)> {
        let modules = self.attributes.iter().map(|(name, code)| (name, code, false));
        let values = self.lines.iter().map(|line| (&line.name, &line.value, true));
        modules.chain(values).flat_map(|(owner, code, forward)| {
            code.numbers().map(move |number| (owner.as_str(), number, forward))
        })
    }
}

fn said<'a>(name: &'a str, code: &'a Code) -> impl Iterator<Item = Option<&'a str>> {
    std::iter::once(Some(name)).chain(code.skeleton())
}

impl Class {
    /// Whether a body differs from this class's in numbers only.
    pub(super) fn is_like(&self, body: &Body) -> bool {
        self.bodies.first().is_some_and(|first| first.skeleton().eq(body.skeleton()))
    }

    /// How one of its uses calls it.
    pub(super) fn call(&self, using: usize) -> Code {
        let arguments = self.arguments();
        let said = arguments.iter().map(|argument| {
            let value = argument.values.get(using).map_or("", String::as_str);
            Code::keyword(&argument.name, value)
        });
        Code::call(&self.name, said)
    }

    /// Its numbers, place by place.
    fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        for (using, body) in self.bodies.iter().enumerate() {
            for (at, (owner, number, forward)) in body.numbers().enumerate() {
                if using == 0 {
                    let (label, owner) = (number.label.clone(), owner.to_owned());
                    places.push(Place { label, owner, values: vec![], forward });
                }
                if let Some(place) = places.get_mut(at) {
                    place.values.push(number.value.clone());
                }
            }
        }
        places
    }

    /// What its uses must say: numbers that differ, those that always agree once.
    fn arguments(&self) -> Vec<Argument> {
        let mut arguments: Vec<Argument> = Vec::new();
        for Place { label, owner, values, forward } in self.places() {
            if values.iter().all(|value| *value == values[0]) {
                continue;
            }
            let family = family(&label).to_owned();
            let known =
                |argument: &&mut Argument| argument.values == values && argument.family == family;
            if let Some(argument) = arguments.iter_mut().find(known) {
                argument.kept |= forward;
                continue;
            }
            let free = |name: &String| !arguments.iter().any(|argument| argument.name == *name);
            let more = (2..).map(|count| format!("{owner}_{label}_{count}"));
            let owned = format!("{owner}_{label}");
            let mut names = [label.clone(), owned].into_iter().chain(more);
            let name = names.find(free).unwrap_or_default();
            arguments.push(Argument { name, family, values, kept: forward });
        }
        arguments
    }

    /// The class as text.
    pub(super) fn text(&self) -> String {
        let Some(body) = self.bodies.first() else { return String::new() };
        let arguments = self.arguments();
        let mut text =
            format!("class {}(nn.Module):\n    \"\"\"{}\"\"\"\n\n", self.name, self.uses());
        let names = arguments.iter().map(|argument| argument.name.as_str());
        let head: Vec<&str> = std::iter::once("self").chain(names).collect();
        text += &statement(4, &format!("def __init__({}):", head.join(", ")));
        text += "        super().__init__()\n";
        for argument in arguments.iter().filter(|argument| argument.kept) {
            text += &format!("        self.{0} = {0}\n", argument.name);
        }
        let mut places = self.places().into_iter();
        let mut written = |code: &Code| {
            code.write(|number| {
                let place = places.next();
                place.map_or_else(|| number.value.clone(), |place| stands_for(&place, &arguments))
            })
        };
        for (name, code) in &body.attributes {
            text += &statement(8, &format!("self.{name} = {}", written(code)));
        }
        text += &format!("\n    def forward(self, {}):\n", body.inputs.join(", "));
        let last = body.lines.len().saturating_sub(1);
        for (at, line) in body.lines.iter().enumerate() {
            let returned = at == last && line.name == body.output;
            let head = if returned { "return".to_owned() } else { format!("{} =", line.name) };
            let shape = self.shape(at, &arguments);
            text += statement(8, &format!("{head} {}", written(&line.value))).trim_end();
            text += &shape.map_or_else(String::new, |shape| format!("  # {shape}"));
            text.push('\n');
        }
        if body.lines.last().is_none_or(|line| line.name != body.output) {
            text += &format!("        return {}\n", body.output);
        }
        text
    }

    /// What of the network it is.
    fn uses(&self) -> String {
        let names: Vec<&str> = self.bodies.iter().map(|body| body.used_as.as_str()).collect();
        match names[..] {
            [""] => "The network.".to_owned(),
            [only] => format!("Used as `{only}`."),
            [ref others @ .., last] if others.len() < 4 => {
                format!("Used as `{}` and `{last}`.", others.join("`, `"))
            }
            _ => format!("Used {} times, first as `{}`.", names.len(), names[0]),
        }
    }

    /// The shape of a line's value: what differs between uses by the argument's name, or left out.
    fn shape(&self, line: usize, arguments: &[Argument]) -> Option<String> {
        let lines = || self.bodies.iter().filter_map(|body| body.lines.get(line));
        let said = lines().any(|line| line.says);
        let mut at = 0;
        let text = lines().next().filter(|_| said)?.shape.write(|number| {
            let value = |line: &Line| line.shape.numbers().nth(at).map(|found| found.value.clone());
            let values: Vec<String> = lines().filter_map(value).collect();
            at += 1;
            if values.iter().all(|value| *value == values[0]) {
                return number.value.clone();
            }
            let widths = ["channels", "features"];
            let known = arguments.iter().find(|argument| {
                widths.contains(&argument.family.as_str()) && argument.values == values
            });
            known.map_or("…".to_owned(), |argument| argument.name.clone())
        });
        let text = text.replace("…, …", "…");
        (text != "[N, …]" && text != "[N, …, …]").then_some(text)
    }
}

/// What stands at a place: the number, or the argument that it is.
fn stands_for(place: &Place, arguments: &[Argument]) -> String {
    if place.values.iter().all(|value| *value == place.values[0]) {
        return place.values[0].clone();
    }
    let known = arguments.iter().find(|argument| {
        argument.values == place.values && argument.family == family(&place.label)
    });
    let name = known.map_or("", |argument| argument.name.as_str());
    if place.forward { format!("self.{name}") } else { name.to_owned() }
}
