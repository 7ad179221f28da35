//! Builds again when the bundled scripts appear or change.

fn main() {
    println!("cargo::rerun-if-changed=../static/dist");
}
