//! The modules of a class by their names, which may have dots.

use super::code::Code;

/// Modules by dotted names, those of one first name together.
#[derive(Default)]
pub(super) struct Attributes(Vec<(String, Tree)>);

enum Tree {
    Module(Code),
    Group(Vec<(String, Tree)>),
}

impl Attributes {
    pub(super) fn add(&mut self, path: &str, module: Code) {
        add(&mut self.0, path, module);
    }

    pub(super) fn finish(self) -> Vec<(String, Code)> {
        self.0.into_iter().map(|(name, tree)| (name, code(tree))).collect()
    }
}

fn add(trees: &mut Vec<(String, Tree)>, path: &str, module: Code) {
    let Some((first, rest)) = path.split_once('.') else {
        trees.push((path.to_owned(), Tree::Module(module)));
        return;
    };
    let known = trees.iter().position(|(name, _)| name == first);
    let at = known.unwrap_or_else(|| {
        trees.push((first.to_owned(), Tree::Group(vec![])));
        trees.len() - 1
    });
    if let Tree::Group(below) = &mut trees[at].1 {
        add(below, rest, module);
    }
}

fn code(tree: Tree) -> Code {
    match tree {
        Tree::Module(module) => module,
        Tree::Group(below) => {
            let mut text = Code::text("nn.ModuleDict({");
            for (at, (name, tree)) in below.into_iter().enumerate() {
                let comma = if at > 0 { ", " } else { "" };
                text = text.then(Code::text(format!("{comma}\"{name}\": "))).then(code(tree));
            }
            text.then(Code::text("})"))
        }
    }
}
