//! The texts of a result package: the architecture, how to prepare an input, how to load the
//! network, and a card that says what it is.

pub mod architecture;
pub mod card;
pub mod loaders;
pub mod preprocess;

use crate::folder;

/// The network's weights by PyTorch's names.
pub const WEIGHTS: &str = "model.safetensors";
/// The network as PyTorch.
pub const SOURCE: &str = "model.py";
/// The network as ONNX.
pub const ONNX: &str = "model.onnx";
/// The network as TorchScript.
pub const SCRIPT: &str = "model.torchscript.pt";

/// How an input becomes what the network reads.
pub const PREPROCESS: &str = "preprocess.json";
/// What was chosen.
pub const ARCHITECTURE: &str = "architecture.json";

/// A form of the network that could not be offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The file.
    pub file: &'static str,
    /// Why.
    pub fault: String,
}

/// A kind of file in a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKind {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a word or two.
    pub title: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Whether it is among those that most people want.
    pub wanted: bool,
}

const fn file(name: &'static str, title: &'static str, about: &'static str) -> FileKind {
    FileKind { name, title, about, wanted: true }
}

impl FileKind {
    const fn minor(self) -> Self {
        Self { wanted: false, ..self }
    }
}

/// Every file that a package may hold, in the order in which a page lists them.
pub const FILES: [FileKind; 23] = [
    file(folder::RESULT_ZIP, "Everything", "all files below in one"),
    file("MODEL_CARD.md", "Model card", "what the network is, what it scores, how it was found"),
    file(SOURCE, "PyTorch source", "the network as readable PyTorch, with load()"),
    file(WEIGHTS, "Weights", "weights and running statistics by PyTorch's names"),
    file(ONNX, "ONNX", "the network with its weights, operator set 17"),
    file(SCRIPT, "TorchScript", "the same for torch.jit.load"),
    file(PREPROCESS, "Preprocessing", "how an image or a text becomes the input").minor(),
    file(folder::TOKENIZER, "Tokenizer", "byte pairs, for the tokenizers library"),
    file(folder::VOCABULARY, "Vocabulary", "characters; a token's number is its place"),
    file(loaders::EXAMPLE, "Example", "some inputs with the outputs they must give").minor(),
    file("load_pytorch.py", "PyTorch loader", "runs model.py on the example").minor(),
    file("load_onnx.py", "ONNX loader", "runs model.onnx on the example").minor(),
    file(ARCHITECTURE, "Architecture", "options by name, text form, cost, accuracies"),
    file("architecture.svg", "Drawing", "its picture"),
    file("candidates.csv", "Candidates", "every architecture that was compared").minor(),
    file("effects.csv", "Effects", "what each option adds to their accuracy").minor(),
    file("finalists.csv", "Finalists", "every short training before the choice").minor(),
    file("pareto.json", "Front", "the best trade-offs of accuracy against cost").minor(),
    file("metrics.csv", "Metrics", "every number of the run"),
    file(folder::SPEC, "Specification", "everything that the run was asked for"),
    file(folder::SPLIT, "Split", "which training examples were used for what").minor(),
    file("environment.json", "Environment", "versions, device, seed").minor(),
    file(folder::MANIFEST, "Manifest", "names, sizes and SHA-256 of all files").minor(),
];

/// The kind of a file by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static FileKind> {
    FILES.iter().find(|file| file.name == name)
}

/// Where a file stands among the others, by its name; unknown ones come last.
#[must_use]
pub fn place(name: &str) -> usize {
    FILES.iter().position(|file| file.name == name).unwrap_or(FILES.len())
}

/// Layout of a table's row: cells must not break it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_once_and_found() {
        for (at, file) in FILES.iter().enumerate() {
            assert_eq!((find(file.name), place(file.name)), (Some(file), at));
            assert!(!file.title.is_empty() && !file.about.is_empty());
        }
        assert_eq!((find("unknown"), place("unknown")), (None, FILES.len()));
    }

    #[test]
    fn a_cell_stays_one_cell() {
        assert_eq!(cell("a|b\nc"), "a\\|b c");
    }
}
