//! The tree keeps the form that `ARCHITECTURE.md` describes.

use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of a source file, tests at its end not counted.
const LONGEST: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "node_modules", "dist", ".git", ".deps", "shots"]
                .contains(&name.as_str())
            {
                files(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

fn sources(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in
        ["core", "data", "disk", "engine", "server", "tests", "static", "templates", "scripts"]
    {
        files(&root().join(folder), endings, &mut found);
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn files_are_short() {
    for path in sources(&[".rs", ".ts", ".css", ".html", ".py"]) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for path in sources(&[".rs"]) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} has no module documentation", path.display());
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            !["mod.rs", "utils.rs", "helpers.rs"].contains(&name.as_str()),
            "{}",
            path.display()
        );
    }
}

/// `server -> core <- engine`, and `disk` below server and engine; only storage knows sled.
#[test]
fn layers_call_downwards() {
    let manifest = |name: &str| fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
    for word in ["tch", "skein-engine"] {
        assert!(!manifest("server").contains(word), "server depends on {word}");
    }
    for word in ["tch", "tokio", "skein-server", "skein-engine"] {
        assert!(!manifest("core").contains(&format!("{word}.workspace")), "core depends on {word}");
    }
    for word in ["tch", "tokio", "skein-core", "skein-server", "skein-engine"] {
        assert!(!manifest("disk").contains(word), "disk depends on {word}");
    }
    for word in ["tch", "tokio", "axum", "skein-server", "skein-engine"] {
        assert!(!manifest("data").contains(word), "data depends on {word}");
    }
    for word in ["axum", "sled", "tokio", "skein-server"] {
        assert!(!manifest("engine").contains(word), "engine depends on {word}");
    }
    for path in sources(&[".rs"]) {
        let shown = path.display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        if shown.contains("server/src") && !shown.contains("/storage") {
            assert!(!text.contains("sled::"), "{shown} knows sled");
        }
        if shown.contains("server/src/service") || shown.contains("server/src/domain") {
            assert!(!text.contains("axum::"), "{shown} knows HTTP");
        }
        if shown.contains("engine/src/nodes") {
            assert!(!text.contains("skein_core::spaces"), "{shown} knows a space");
        }
    }
}

#[test]
fn lock_files_name_no_host() {
    for path in sources(&["package-lock.json"]) {
        let text = fs::read_to_string(&path).unwrap();
        let hosts = text.lines().filter(|line| line.contains("\"resolved\": \"http"));
        assert_eq!(hosts.count(), 0, "{}", path.display());
    }
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    for page in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let local = !target.starts_with("http") && !target.starts_with('#');
            assert!(!local || root().join(target).exists(), "{page} links to {target}");
        }
    }
}
